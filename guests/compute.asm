; compute: one small loop of 64-bit code, for a stopwatch outside: arithmetic, memory, floating point, traps.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; Words       the name of a kernel (table `kernels` in compute/body.inc); `count=n`: how often it does its work,
;             default 1; `warm=n`: so often before the stopwatch, too; `paced`: the stopwatch answers START with a byte
;             on COM1; `wake`: starts all other CPUs first, which halt.
; Method      a line START, then the kernel, then a line with the TSC ticks it took and a result that depends on
;             everything it computed, so that two machines can be compared in speed and in outcome.
; Paging      the kernels that touch many pages do so in a window of 512 pages of 4 KiB.

%define MAX_CPUS 4096
%define STACK_BYTES 512
%include "lib/guest.inc"
%include "compute/memory.inc"

ABSENT_PAGE  equ WINDOW + LARGE_PAGE * 2        ; linear address without a page
ARRIVAL_US   equ 200000                         ; longest wait for the other CPUs

section .bss
alignb 4096
window_directory: resb 4096
window_table:     resb 4096

section .text
bits 64
main:
    call map_window
    has_word "wake"
    jnc run_kernel
    call wake_others
    jmp run_kernel

ap_main:
    ret

; Starts the other CPUs, who halt, and gives them time for that.
wake_others:
    call boot_cpu_count
    mov r8, rax
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    wait_for ARRIVAL_US, qword [cpu_count], e, r8
    jnc .arrived
    fail "wake", "of ", dec, r8, " CPUs came ", dec, [cpu_count]
.arrived:
    delay_us 1000
    ret

; Maps `memory` at WINDOW, in pages of 4 KiB. Clobbers RAX, RCX, RDI.
map_window:
    lea rax, [window_directory]
    or eax, PTE_PRESENT | PTE_WRITE
    mov [pdpt + (WINDOW >> 30) * 8], rax
    lea rax, [window_table]
    or eax, PTE_PRESENT | PTE_WRITE
    mov [window_directory], rax
    lea rax, [memory]
    or eax, PTE_PRESENT | PTE_WRITE
    lea rdi, [window_table]
    mov ecx, WINDOW_PAGES
.page:
    mov [rdi], rax
    add rax, PAGE_BYTES
    add rdi, 8
    dec ecx
    jnz .page
    mov rax, cr3
    mov cr3, rax
    ret

; set_gate vector, label: that vector goes straight to the label. Clobbers RAX.
%macro set_gate 2
    lea rax, [%2]
    mov [idt + (%1) * 16], ax
    shr rax, 16
    mov [idt + (%1) * 16 + 6], ax
%endmacro

%include "compute/integer.inc"
%include "compute/float.inc"
%include "compute/system.inc"
%include "compute/body.inc"

guest_end
