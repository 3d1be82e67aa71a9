; modes: one CPU through all of its modes and back, with faults taken on purpose in each.
;
;   protected (multiboot) -> real -> protected -> 32-bit paging with PSE -> PAE -> long: 64-bit and compatibility,
;   ring 0 and ring 3 -> protected without paging -> real
;
; Contract    multiboot 1, flat image (address-override header), loaded at 1 MiB, entered at `_start` in 32-bit
;             protected mode without paging, EAX = 0x2BADB002, EBX = multiboot information. One CPU.
; Method      `attempt instruction` runs an instruction; the handler of the mode notes what it sees (vector, error code,
;             saved IP, CR2, stack) in a record in low memory and returns behind the instruction; `caught` compares.
;             The macros are the same in code of 16, 32 and 64 bits (modes/record.inc).
; Memory      0x00000000  vectors of real mode
;             0x00007000  the record (modes/record.inc)
;             0x00007c00  stack of real mode, growing down
;             0x00008000  .real: 16-bit code, copied down from the image
;             0x00100000  the image: .text, .real, .data, .bss (page tables, descriptors, stacks)
;             0x00123450  free memory behind the image: what a segment with a base shows
;             0x40000000  a window of pages that the paging tests change
;
; Command line
;   lenient   for machines that do not check segment limits and types on access, alignment, and stack addresses that
;             are not canonical (QEMU's TCG): leaves those checks out
;
; Source      Intel SDM 3A "Mode Switching", "Protection", "Paging", "Interrupt and Exception Handling".

cpu x64
default abs
org 0x100000

section .text align=16
section .real vstart=0x8000 follows=.text align=16
section .data align=16 follows=.real
section .bss nobits align=4096 follows=.data

%include "lib/multiboot.inc"
%include "modes/record.inc"
%include "modes/report.inc"
%include "modes/tables.inc"
%include "modes/paging.inc"
%include "modes/real.inc"
%include "modes/protected.inc"
%include "modes/protected-tests.inc"
%include "modes/long.inc"
%include "modes/paging-tests.inc"
%define ENTRY_BYTES 8
%define HAS_NX 1
%include "modes/long-tests.inc"

section .real
    report_routines 16
section .text
    report_routines 32
    report_routines 64

EXIT_SUCCESS equ 0
EXIT_FAILURE equ 1

section .text
width 32
_start:
    cli
    cld
    mov esp, boot_stack_top
    cmp eax, MULTIBOOT_BOOT_MAGIC
    mov al, EXIT_FAILURE
    jne leave_32
    mov dx, COM1_LCR
    mov al, LCR_8N1
    out dx, al
    mov al, 0xff                                ; both interrupt controllers masked: firmware leaves them open
    out 0x21, al
    out 0xa1, al
    mov edi, SEEN
    mov ecx, 256
    xor eax, eax
    rep stosb
    call find_lenient
    mov esi, section..real.start
    mov edi, 0x8000
    mov ecx, real_end - 0x8000
    rep movsb
    call init_tables
    call init_page_tables
    lgdt [gdt_pointer]
    jmp CODE32:.flat
.flat:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax

    mov ebx, real_first
    jmp go_real

; Back from the first visit to real mode.
back_in_protected:
    mov esp, boot_stack_top
    call load_idt_32
    mov eax, cs
    check "protected: back from real mode", eax, CODE32
    call protected_tests

    call paging_on_32
%define ENTRY_BYTES 4
%define HAS_NX 0
    paging_tests "32-bit paging"
    call paging_off

    call paging_on_pae
%define ENTRY_BYTES 8
%define HAS_NX 1
    paging_tests "PAE"
    call paging_off

    call long_mode_on
    mov ecx, IA32_EFER
    rdmsr
    and eax, EFER_LMA
    check "long: EFER.LMA is set", eax, EFER_LMA
    jmp CODE64:in_64

width 64
in_64:
    mov esp, esp                                ; the upper half of RSP was undefined until now
    call load_idt_64
    mov ebx, TSS64
    ltr bx
    call long_tests
    mov dword [abs user_cs], USER_CODE64
    paging_tests "4-level"
    push CODE32
    push .compatibility
    o64 retf
width 32
.compatibility:
    mov eax, DATA                               ; segments count again: SS was null since the last interrupt from
    mov ds, eax                                 ; ring 3
    mov es, eax
    mov ss, eax
    call compatibility_tests
    jmp CODE64:.back_in_64
width 64
.back_in_64:
    mov eax, cs
    check "64-bit: back from compatibility mode", eax, CODE64
    call compatibility_ring_3
    push CODE32
    push .leave
    o64 retf
width 32
.leave:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    call long_mode_off
    mov ecx, IA32_EFER
    rdmsr
    and eax, EFER_LMA
    check "protected: back from long mode, EFER.LMA is clear", eax, 0
    call load_idt_32
    attempt ud2
    caught "protected: back from long mode, #UD", VECTOR_UD, NONE, at
    mov ebx, real_last
    jmp go_real

; AL = debug-exit value.
leave_32:
    out DEBUG_EXIT_PORT, al
.halt:
    cli
    hlt
    jmp .halt

; LENIENT = 1 if the command line holds the word. EBX = multiboot information.
find_lenient:
    test dword [ebx + MULTIBOOT_INFO_FLAGS], MULTIBOOT_HAS_CMDLINE
    jz .done
    mov esi, [ebx + MULTIBOOT_INFO_CMDLINE]
.look:
    cmp byte [esi], 0
    je .done
    mov edi, .word
    mov ecx, .word_end - .word
    push esi
    repe cmpsb
    pop esi
    je .found
    inc esi
    jmp .look
.found:
    mov dword [LENIENT], 1
.done:
    ret
.word: db " lenient"
.word_end:

; EBX = where to go on in real mode: 16-bit code, 16-bit segments, then PE = 0.
go_real:
    mov eax, DATA16
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov gs, eax
    mov eax, DATA                               ; FS keeps a limit of 4 GiB on the way: "unreal mode"
    mov fs, eax
    jmp CODE16:real_entry

section .real
width 16
real_entry:
    mov eax, cr0
    and al, ~CR0_PE
    mov cr0, eax
    jmp 0:.real
.real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov sp, REAL_STACK
    call real_vectors
    jmp bx

real_first:
    mov eax, cr0
    and eax, CR0_PE
    check "real: CR0.PE is clear", eax, 0
    attempt a32 mov eax, [dword fs:0x100000]
    not_caught "real: a limit set in protected mode stays"
    check "real: and reaches above 1 MiB", eax, MULTIBOOT_HEADER_MAGIC
    call real_tests
    lgdt [real_gdt_pointer]
    mov eax, cr0
    or al, CR0_PE
    mov cr0, eax
    jmp dword CODE32:.protected
width 32
.protected:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    jmp back_in_protected

width 16
real_last:
    attempt int 0x40
    caught "real: back for good, INT n", 0x40, NONE, after
    put "DONE", 10
    xor eax, eax
    cmp dword [FAILURES], 0
    je .leave
    mov al, EXIT_FAILURE
.leave:
    out DEBUG_EXIT_PORT, al
    mov si, .shutdown
    mov dx, SHUTDOWN_PORT
    mov cx, 8
    cld
    rep outsb
.halt:
    cli
    hlt
    jmp .halt
.shutdown: db "Shutdown"

align 4, db 0
real_gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
real_end:

guest_end
