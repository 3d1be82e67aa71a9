; compute: one small loop of 64-bit code, for a stopwatch outside: arithmetic, memory, calls, traps.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; Words       the name of a kernel (table `kernels`); `count=n`: how often it does its work, default 1;
;             `wake`: starts all other CPUs first, which halt.
; Method      a line START, then the kernel, then a line with the TSC ticks it took and a result that depends on
;             everything it computed, so that two machines can be compared in speed and in outcome.
; Paging      the kernels that touch many pages do so in a window of 512 pages of 4 KiB.

%define MAX_CPUS 4096
%define STACK_BYTES 512
%include "lib/guest.inc"

WINDOW       equ 0x40000000                     ; linear address of the window
WINDOW_PAGES equ 512
ABSENT_PAGE  equ WINDOW + LARGE_PAGE * 2        ; linear address without a page
PAGE_BYTES   equ 4096
TRAP_VECTOR  equ 0x40
PAGE_FAULT   equ 14
POST_PORT    equ 0x80
ARRIVAL_US   equ 200000                         ; longest wait for the other CPUs
COPY_BYTES   equ 1 << 20
SIEVE_BYTES  equ 1 << 16
CRC_BYTES    equ 4096
CRC_POLYNOMIAL equ 0xedb88320                   ; CRC-32 of IEEE 802.3, bits reversed

KERNEL_NAME_BYTES equ 16

; A row of the table: `kernel name, setup` for the routines of these names.
%macro kernel 2
    %defstr kernel_text %1
    %%name: db kernel_text
    times KERNEL_NAME_BYTES - ($ - %%name) db 0
    dq %1, %2
%endmacro
KERNEL_BYTES equ KERNEL_NAME_BYTES + 16

section .bss
alignb 4096
memory: resb WINDOW_PAGES * PAGE_BYTES           ; the window shows it; most kernels use it directly
window_directory: resb 4096
window_table:     resb 4096
call_stack: resb 4096
call_stack_top:

section .data
align 8, db 0
; A kernel does its work R12 times and returns its result in RAX; it may change every register but RSP.
; Its setup is not on the stopwatch.
kernels:
    kernel alu, nothing
    kernel sieve, nothing
    kernel modify, fill_memory
    kernel calls, nothing
    kernel crc, fill_memory
    kernel muldiv, nothing
    kernel chase, link_pages
    kernel copy, fill_memory
    kernel repmovs, fill_memory
    kernel trap, set_trap
    kernel identify, nothing
    kernel port, nothing
    kernel reload, nothing
    kernel fault, set_fault
    db 0

section .text
main:
    call map_window
    lea rbx, [kernels]
.search:
    mov rsi, rbx
    cmp byte [rsi], 0
    je .unknown
    call find_word
    jc .found
    add rbx, KERNEL_BYTES
    jmp .search
.unknown:
    fail "compute", "the command line names no kernel"
    ret
.found:
    has_word "wake"
    jnc .alone
    call wake_others
.alone:
    word_number "count=", 1
    mov r12, rax
    push rbx
    call [rbx + KERNEL_NAME_BYTES + 8]
    pop rbx
    line "START"
    call read_tsc
    push rax
    call [rbx + KERNEL_NAME_BYTES]
    mov r8, rax
    call read_tsc
    pop rdx
    sub rax, rdx
    line "ticks ", dec, rax, ", result ", hex, r8
    ret

ap_main:
nothing:
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

; ------------------------------------------------------------------------------------------------------------- memory

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

; Fills `memory` with numbers (xorshift). Clobbers RAX, RCX, RDX, RDI.
fill_memory:
    mov eax, 1
    lea rdi, [memory]
    mov ecx, WINDOW_PAGES * PAGE_BYTES / 8
.number:
    mov rdx, rax
    shl rdx, 13
    xor rax, rdx
    mov rdx, rax
    shr rdx, 7
    xor rax, rdx
    mov rdx, rax
    shl rdx, 17
    xor rax, rdx
    mov [rdi], rax
    add rdi, 8
    dec ecx
    jnz .number
    ret

; Links one place in each page of the window to one in another: a ring through all of them, in steps of 197 pages.
; Clobbers RAX, RCX, RDX, RSI, RDI.
link_pages:
    xor ecx, ecx
    xor esi, esi                                ; RSI = page
.page:
    call .place
    mov rdi, rax
    add esi, 197                                ; odd, so the ring has all pages
    and esi, WINDOW_PAGES - 1
    call .place
    mov [rdi], rax
    inc ecx
    cmp ecx, WINDOW_PAGES
    jb .page
    ret
.place:                                         ; RAX = place in page RSI: another cache line in each
    mov rax, rsi
    shl rax, 6
    and eax, PAGE_BYTES - 64
    mov rdx, rsi
    shl rdx, 12
    add rax, rdx
    add rax, WINDOW
    ret

; set_gate vector, label: that vector goes straight to the label. Clobbers RAX.
%macro set_gate 2
    lea rax, [%2]
    mov [idt + (%1) * 16], ax
    shr rax, 16
    mov [idt + (%1) * 16 + 6], ax
%endmacro

set_trap:
    set_gate TRAP_VECTOR, trap_handler
    ret

set_fault:
    set_gate PAGE_FAULT, fault_handler
    ret

; ------------------------------------------------------------------------------------------------------------ kernels

; Eight instructions on registers.
align 16
alu:
    mov eax, 1
    mov ecx, 3
    xor edx, edx
    xor ebx, ebx
align 16
.loop:
    add rax, rcx
    xor rdx, rax
    lea rbx, [rbx + rdx * 2]
    and ecx, 0xffff
    sub rdx, rbx
    add rcx, 5
    dec r12
    jnz .loop
    lea rax, [rax + rdx]
    add rax, rbx
    ret

; Eratosthenes' sieve: the primes below 65,536. Result: how many there are.
align 16
sieve:
    lea rbx, [memory]
.round:
    mov rax, 0x0101010101010101
    xor ecx, ecx
.fill:
    mov [rbx + rcx], rax
    add rcx, 8
    cmp rcx, SIEVE_BYTES
    jb .fill
    xor eax, eax
    mov esi, 2
.candidate:
    cmp byte [rbx + rsi], 0
    je .composite
    inc eax
    mov rdi, rsi
    imul rdi, rsi
    jmp .first
.strike:
    mov byte [rbx + rdi], 0
    add rdi, rsi
.first:
    cmp rdi, SIEVE_BYTES
    jb .strike
.composite:
    inc esi
    cmp esi, SIEVE_BYTES
    jb .candidate
    dec r12
    jnz .round
    ret

; Read-modify-write of 4 x 1,024 places in 32 KiB.
align 16
modify:
    lea rbx, [memory]
    mov eax, 7
.round:
    xor ecx, ecx
.loop:
    add [rbx + rcx], rax
    xor [rbx + rcx + 8], eax
    inc dword [rbx + rcx + 16]
    sub [rbx + rcx + 24], al
    add rcx, 32
    cmp ecx, 0x8000
    jb .loop
    dec r12
    jnz .round
    xor eax, eax
.sum:
    sub ecx, 8
    add rax, [rbx + rcx]
    test ecx, ecx
    jnz .sum
    ret

; The 20th Fibonacci number by recursion: 21,891 calls. Result: 6,765.
align 16
calls:
    mov rbp, rsp
    lea rsp, [call_stack_top]
.round:
    mov edi, 20
    call fibonacci
    dec r12
    jnz .round
    mov rsp, rbp
    ret
fibonacci:                                      ; RDI = n; returns RAX
    cmp edi, 2
    jb .small
    push rdi
    dec edi
    call fibonacci
    pop rdi
    push rax
    sub edi, 2
    call fibonacci
    pop rdx
    add rax, rdx
    ret
.small:
    mov eax, edi
    ret

; CRC-32 of 4 KiB, bit by bit, with a branch for each.
align 16
crc:
    lea rbx, [memory]
.round:
    mov eax, -1
    xor esi, esi
.byte:
    movzx edx, byte [rbx + rsi]
    xor eax, edx
    mov ecx, 8
.bit:
    test al, 1
    jz .even
    shr eax, 1
    xor eax, CRC_POLYNOMIAL
    jmp .next
.even:
    shr eax, 1
.next:
    dec ecx
    jnz .bit
    inc esi
    cmp esi, CRC_BYTES
    jb .byte
    not eax
    dec r12
    jnz .round
    mov eax, eax
    ret

; Two multiplications and two divisions.
align 16
muldiv:
    mov rbx, 0x9e3779b97f4a7c15
    mov r8d, 1000003
    mov r9d, 1
align 16
.loop:
    mov rax, r9
    mul rbx                                     ; RDX:RAX
    add rdx, rax
    imul r9, rdx, 0x5bd1
    mov rax, r9
    xor edx, edx
    div r8                                      ; 64-bit
    add r9, rdx
    mov eax, r9d
    cdq
    idiv r8d                                    ; 32-bit
    add r9, rax
    dec r12
    jnz .loop
    mov rax, r9
    ret

; Follows a chain of pointers through 512 pages; every load needs the one before, and another page.
align 16
chase:
    mov eax, WINDOW
align 16
.loop:
    mov rax, [rax]
    dec r12
    jnz .loop
    ret

; Copies 1 MiB by quadwords. Result: the last one.
align 16
copy:
.round:
    lea rsi, [memory]
    lea rdi, [memory + COPY_BYTES]
    mov ecx, COPY_BYTES / 8
.loop:
    mov rax, [rsi]
    mov [rdi], rax
    add rsi, 8
    add rdi, 8
    dec ecx
    jnz .loop
    dec r12
    jnz .round
    ret

; The same by REP MOVSQ.
align 16
repmovs:
    cld
.round:
    lea rsi, [memory]
    lea rdi, [memory + COPY_BYTES]
    mov ecx, COPY_BYTES / 8
    rep movsq
    dec r12
    jnz .round
    mov rax, [rdi - 8]
    ret

; INT and IRETQ. Result: how often.
align 16
trap:
    xor eax, eax
align 16
.loop:
    int TRAP_VECTOR
    dec r12
    jnz .loop
    ret
align 16
trap_handler:
    inc rax
    iretq

; CPUID leaf 0. Result: 0.
align 16
identify:
.loop:
    xor eax, eax
    cpuid
    dec r12
    jnz .loop
    xor eax, eax
    ret

; A byte to a port with a device that only remembers it (POST codes).
align 16
port:
    xor eax, eax
align 16
.loop:
    out POST_PORT, al
    inc eax
    dec r12
    jnz .loop
    ret

; CR3 written with the value it has, then a first access to four pages.
align 16
reload:
    mov rbx, cr3
    mov esi, WINDOW
    xor eax, eax
align 16
.loop:
    mov cr3, rbx
    add rax, [rsi]
    add rax, [rsi + 1 * PAGE_BYTES]
    add rax, [rsi + 2 * PAGE_BYTES]
    add rax, [rsi + 3 * PAGE_BYTES]
    dec r12
    jnz .loop
    ret

; A load from a page that is not there; the handler goes on behind it. Result: how often.
align 16
fault:
    xor eax, eax
    mov esi, ABSENT_PAGE
    lea rdi, [.behind]
align 16
.loop:
    mov rdx, [rsi]
.behind:
    dec r12
    jnz .loop
    ret
align 16
fault_handler:
    inc rax
    mov [rsp + 8], rdi                          ; behind the error code: RIP
    add rsp, 8
    iretq

guest_end
