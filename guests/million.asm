; million: wakes as many CPUs as x2APIC can name in clusters, 1,048,576, and has each of them prove that it ran.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        as many as the machine started with, with APIC IDs 0, 1, 2 ...
; Words       `timers`: then they all work, with a timer each (million/timers.inc); small numbers of CPUs, please.
;             `interrupts`: then they wait for interrupts, with stacks, in x2APIC mode: one broadcast to all of them,
;             UNICASTS to one after the other, and a loop of the boot CPU while all others are idle.
;             `each`: wakes them one by one, by INIT and STARTUP to the ID of each, and waits for it;
;             without it one broadcast of INIT and one of STARTUP wakes all.
;             `stacks`: each has a stack of its own, 128 bytes for each CPU from 16 MiB on: a million need `--memory 160M`;
;             without it they have none. `xapic-only`, `wall`: lib/guest.inc.
; Lines       what it takes lies between START and END.
; Method      a CPU starts in real mode, goes to 64-bit mode, asks CPUID for its ID, sets the ID's bit in a bitmap,
;             counts itself with LOCK INC, and halts. The boot CPU then checks count, bits and stacks.
;             In place of lib/trampoline.inc, which keeps a record of each CPU, stands a trampoline that keeps nothing.

%define MAX_CPUS 1                              ; records of lib/percpu.inc: the boot CPU's
%include "lib/guest.inc"

MOST_CPUS    equ 1 << 20
STACKS       equ 16 << 20
STACK_SHIFT  equ 7
STACK_BYTES_EACH equ 1 << STACK_SHIFT
ARRIVAL_US   equ 100000                         ; longest wait for all of them
ONE_US       equ 1000                           ; ... and for one of them
VECTOR       equ 0x40
TIMER_VECTOR equ 0x41
UNICASTS     equ 100000
STRIDE       equ 7919                           ; CPUs from one unicast's target to the next: far apart in memory
LOOPS        equ 10000000
NB_CPUS_MOST equ 0xffff                         ; fw_cfg can count no further

CR0_ET       equ 1 << 4

HOTPLUG_SELECT equ 0xcd8                        ; CPU-hotplug registers: QEMU docs/specs/acpi_cpu_hotplug
HOTPLUG_FLAGS  equ 0xcdc
HOTPLUG_ENABLED equ 1 << 0

section .bss
alignb 64
arrived:   resq 1                               ; CPUs that came, boot CPU not included
alignb 64
again:     resq 1                               ; of them, those that found their bit set
alignb 64
beyond:    resq 1                               ; of them, those whose ID has no bit
alignb 64
taken:     resq 1                               ; interrupts, by all of them
alignb 64
stacks_on: resq 1
interrupts_on: resq 1
timers_on: resq 1
expected:  resq 1
bitmap:    resb MOST_CPUS / 8

section .text
main:
    call count_cpus
    mov [expected], rax
    line "CPUs: ", dec, [expected]
    cmp rax, MOST_CPUS
    ja .too_many
    has_word "timers"
    jnc .no_timers
    mov qword [timers_on], 1
    jmp .interrupts
.no_timers:
    has_word "interrupts"
    jnc .no_interrupts
.interrupts:
    cmp qword [use_x2apic], 0
    je .no_x2apic
    mov qword [interrupts_on], 1
    mov qword [stacks_on], 1
    call set_gates
.no_interrupts:
    has_word "stacks"
    jnc .no_stacks
    mov qword [stacks_on], 1
.no_stacks:
    call copy_wake
    has_word "each"
    jc .one_by_one
    call wake_all
    jmp .woken
.one_by_one:
    call wake_each
.woken:
    mov rax, [expected]
    dec rax
    check_equal "all other CPUs counted themselves", [arrived], rax
    check_equal "none came twice", [again], 0
    check_equal "none has an unexpected ID", [beyond], 0
    call count_bits
    check_equal "each set the bit of its ID", rcx, rax
    cmp qword [stacks_on], 0
    je .done
    call count_stacks
    check_equal "each used its own stack", rcx, rax
    cmp qword [timers_on], 0
    jne check_timers
    cmp qword [interrupts_on], 0
    jne interrupt_all
.done:
    ret
.no_x2apic:
    fail "interrupts", "they need x2APIC mode"
    ret
.too_many:
    fail "CPUs", "the bitmap ends at ", dec, MOST_CPUS
    ret

; Returns RAX = CPUs at boot. What fw_cfg cannot say is searched for in the CPU-hotplug registers: the slots of the CPUs
; that the machine started with are the first ones. Clobbers RCX, RDX, RSI.
count_cpus:
    call boot_cpu_count
    cmp eax, NB_CPUS_MOST
    jb .done
    mov ecx, NB_CPUS_MOST - 1                   ; this slot has a CPU
    mov esi, MOST_CPUS + 1                      ; this one has none, or there are too many
.halve:
    lea eax, [rsi + 1]
    sub eax, ecx
    cmp eax, 2
    jbe .found
    lea eax, [rcx + rsi]
    shr eax, 1
    push rax
    mov edx, HOTPLUG_SELECT
    out dx, eax
    mov edx, HOTPLUG_FLAGS
    in al, dx
    test al, HOTPLUG_ENABLED
    pop rax
    cmovnz ecx, eax
    cmovz esi, eax
    jmp .halve
.found:
    lea eax, [rcx + 1]
.done:
    ret

copy_wake:
    cld
    lea rsi, [wake]
    mov edi, TRAMPOLINE
    mov ecx, wake_end - wake
    rep movsb
    ret

wake_all:
    line "START broadcast"
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    mov r8, [expected]
    dec r8
    wait_for ARRIVAL_US, qword [arrived], ae, r8
    line "END"
    ret

wake_each:
    line "START one by one"
    mov r8d, 1
.cpu:
    cmp r8, [expected]
    jae .done
    send_ipi r8d, ICR_INIT | ICR_ASSERT
    send_ipi r8d, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    cmp [arrived], r8
    jae .here                                   ; (no wait that costs time where the CPU has come already)
    wait_for ONE_US, qword [arrived], ae, r8
    jc .done                                        ; one that does not come fails the check
.here:
    inc r8
    jmp .cpu
.done:
    line "END"
    ret

; VECTOR and TIMER_VECTOR go straight to their handlers. Clobbers RAX.
set_gates:
    lea rax, [handler]
    mov [idt + VECTOR * 16], ax
    shr rax, 16
    mov [idt + VECTOR * 16 + 6], ax
    lea rax, [timer_handler]
    mov [idt + TIMER_VECTOR * 16], ax
    shr rax, 16
    mov [idt + TIMER_VECTOR * 16 + 6], ax
    ret

; After the checks: what interrupts cost. R8 = other CPUs; there is at least one.
interrupt_all:
    mov r8, [expected]
    dec r8
    jz .done
    line "START interrupt to all"
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_ASSERT | VECTOR
    wait_for ARRIVAL_US, qword [taken], ae, r8
    line "END"
    check_equal "all took the broadcast", [taken], r8

    line "START unicasts"
    mov r9, r8                                  ; R9 = interrupts that must have been taken
    mov r10d, UNICASTS
    xor r11d, r11d                              ; R11 = ID of the target, less one
    xor edx, edx
    mov eax, STRIDE
    div r8
    mov r12, rdx                                ; R12 = from one target to the next
.unicast:
    inc r9
    lea edx, [r11 + 1]
    mov eax, ICR_ASSERT | VECTOR
    mov ecx, X2APIC_MSR + APIC_ICR
    wrmsr
.wait:
    pause
    cmp [taken], r9
    jb .wait
    add r11, r12
    cmp r11, r8
    jb .in_range
    sub r11, r8
.in_range:
    dec r10d
    jnz .unicast
    line "END"
    check_equal "each took its unicasts", [taken], r9

    line "START loop"
    mov ecx, LOOPS
.loop:
    dec ecx
    jnz .loop
    line "END"
.done:
    ret

; On the stack of whoever waits; it does nothing else, so its registers are free.
align 16
handler:
    lock inc qword [taken]
    xor eax, eax
    xor edx, edx
    mov ecx, X2APIC_MSR + APIC_EOI
    wrmsr
    iretq

; Returns RCX = bits 1 .. expected - 1 that are set, RAX = expected - 1. Clobbers RDX.
count_bits:
    mov rax, [expected]
    dec rax
    xor ecx, ecx
    mov rdx, rax
.bit:
    test rdx, rdx
    jz .done
    bt [bitmap], rdx
    adc ecx, 0
    dec rdx
    jmp .bit
.done:
    ret

; Returns RCX = stacks of CPUs 1 .. expected - 1 that hold what that CPU pushed, RAX = expected - 1. Clobbers RDX, RSI.
count_stacks:
    mov rax, [expected]
    dec rax
    xor ecx, ecx
    mov rdx, rax
.stack:
    test rdx, rdx
    jz .done
    mov rsi, rdx
    shl rsi, STACK_SHIFT
    cmp [rsi + STACKS + STACK_BYTES_EACH - 8], rdx
    jne .next
    inc ecx
.next:
    dec rdx
    jmp .stack
.done:
    ret

; ------------------------------------------------------------------------------------------------- the other CPUs

; Real mode at TRAMPOLINE, CS = 0x0800, IP = 0. Copied there: no label of it but by distance from `wake`.
; Paging and protection come on together, which every processor with long mode takes; the manual's way goes by protected
; mode (SDM 3A "Initializing IA-32e Mode").
align 16
bits 16
wake:
    cli
    o32 lgdt [cs:wake_gdt_pointer - wake]
    mov eax, CR4_PAE
    mov cr4, eax
    mov eax, pml4
    mov cr3, eax
    mov ecx, IA32_EFER
    xor edx, edx
    mov eax, EFER_LME
    wrmsr
    mov eax, CR0_PG | CR0_WP | CR0_PE | CR0_ET
    mov cr0, eax
    jmp dword CODE64:wake_64
align 4, db 0
wake_gdt_pointer:
    dw gdt_pointer - gdt - 1
    dd gdt
wake_end:



bits 64
align 16
wake_64:
    mov eax, 0x0b
    xor ecx, ecx
    cpuid                                       ; EDX = x2APIC ID
    cmp edx, MOST_CPUS
    jae .beyond
    lock bts [bitmap], rdx
    jnc .first
    lock inc qword [again]
.first:
    cmp qword [stacks_on], 0
    je .count
    mov esp, edx
    shl esp, STACK_SHIFT
    add esp, STACKS + STACK_BYTES_EACH          ; (fits 32 bits, so that RSP is clean)
    push rdx
    cmp qword [interrupts_on], 0
    jne .open
.count:
    lock inc qword [arrived]
.halt:
    hlt
    jmp .halt
.beyond:
    lock inc qword [beyond]
    jmp .count
.open:
    mov ecx, IA32_APIC_BASE
    rdmsr
    or eax, APIC_BASE_EN | APIC_BASE_EXTD
    wrmsr
    mov ecx, X2APIC_MSR + APIC_SVR
    mov eax, SVR_ENABLED | SPURIOUS_VECTOR
    xor edx, edx
    wrmsr
    lidt [idt_pointer]
    cmp qword [timers_on], 0
    jne work
    lock inc qword [arrived]
    sti
.wait:
    hlt
    jmp .wait

ap_main:                                        ; lib/trampoline.inc names it; nobody comes by there
    ret

%include "million/timers.inc"

guest_end
