; compute32: the kernels of `compute` as 32-bit code, for machines that have no 64-bit mode.
;
; Contract    see lib/guest32.inc (multiboot 1, loaded at 1 MiB, `main` in 32-bit protected mode with paging).
; Words, Method, Paging   as in compute.asm; there is no `wake`, and the ticks are the low 32 bits of their number.

%include "lib/guest32.inc"
%include "compute/memory.inc"

ABSENT_PAGE  equ WINDOW + WINDOW_PAGES * PAGE_BYTES ; linear address without a page: behind the window

section .bss
alignb 4096
window_table: resb 4096

section .text
bits 32
main:
    call map_window
    jmp run_kernel

; Maps `memory` at WINDOW, in pages of 4 KiB. Clobbers EAX, ECX, EDI.
map_window:
    mov dword [page_directory + (WINDOW >> 22) * 4], window_table + (PTE_PRESENT | PTE_WRITE)
    mov eax, memory + (PTE_PRESENT | PTE_WRITE)
    mov edi, window_table
    mov ecx, WINDOW_PAGES
.page:
    mov [edi], eax
    add eax, PAGE_BYTES
    add edi, 4
    dec ecx
    jnz .page
    mov eax, cr3
    mov cr3, eax
    ret

%include "compute/integer.inc"
%include "compute/float.inc"
%include "compute/system.inc"
%include "compute/body.inc"

guest_end
