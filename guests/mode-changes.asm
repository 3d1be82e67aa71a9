; mode-changes: the local APIC between its modes, and what each change keeps: x2APIC, disabled, xAPIC, x2APIC, INIT.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        two or more; one whose ID is above 0xff shows most (0x00 and 0x123, say). Needs x2APIC mode.
; Method      the first application processor walks through all modes and notes what it sees; the boot CPU gives the
;             orders, sends to it meanwhile, and compares. Refused writes of IA32_APIC_BASE are caught as #GP.
; Source      Intel SDM 3A "Local APIC Status and Location", "x2APIC State Transitions", "Local APIC State After It Has
;             Been Software Disabled"; what survives a disabled LAPIC, which the manual leaves open, as KVM has it
;             (kvm_apic_set_base).

%define MAX_CPUS 64
%include "lib/guest.inc"

ARRIVAL_US equ 20000                            ; longest wait for what must happen
QUIET_US   equ 100                              ; how long nothing must happen
VECTOR     equ 0x61
NMI_VECTOR equ 2
GP_VECTOR  equ 13
TIMER_VECTOR equ 0x71

MODE_BITS   equ APIC_BASE_EN | APIC_BASE_EXTD
NEW_TPR     equ 0x21
NEW_LVT     equ LVT_MASKED | 0x55
NEW_XID     equ 0x42
LOGICAL_ID  equ 0x08
TDCR_BY_1   equ 0x0b
TIMER_COUNT equ 300000                          ; 300 us at 1 GHz
CPUID_1_EDX_APIC equ 1 << 9

%define taken_of   percpu.user                  ; interrupts and NMIs that this CPU took
%define routine_of percpu.user + 8              ; what an application processor shall run; 0 = it waits

section .bss
alignb 8
other:    resq 1                                ; record of the first application processor
refused:  resq 1                                ; the last `try_base` raised #GP
let_go:   resq 1                                ; order to a CPU that waits with its LAPIC off
is_off:   resq 1

section .text

; try_base mode bits: writes IA32_APIC_BASE with these bits of EN and EXTD. Changes RAX, RCX, RDX; `refused` tells.
%macro try_base 1
    mov eax, %1
    call write_base
%endmacro

; mmio_read register: RAX, by the page, whatever mode the LAPIC is in. mmio_write register, value.
%macro mmio_read 1
    mov eax, XAPIC_PAGE + ((%1) << 4)
    mov eax, [rax]
%endmacro
%macro mmio_write 2
    mov ecx, XAPIC_PAGE + ((%1) << 4)
    mov dword [rcx], %2
%endmacro

main:
    on_vector VECTOR, count_interrupt
    on_vector TIMER_VECTOR, count_interrupt
    on_vector NMI_VECTOR, count_nmi
    on_vector GP_VECTOR, skip_instruction
    cmp qword gs:[percpu.is_x2apic], 0
    je .no_x2apic
    call wake_others
    jc .too_few
    sti
    lea rax, [test_modes]                       ; on the other CPU, one at a time
    call run_on_other
    call test_deaf
    call test_init
    ret
.too_few:
    fail "CPUs", "this guest needs two, found ", dec, [cpu_count]
    ret
.no_x2apic:
    skip "modes", "CPUID does not offer x2APIC mode"
    ret

count_interrupt:
    inc qword gs:[taken_of]
    end_of_interrupt
    ret

count_nmi:
    inc qword gs:[taken_of]
    ret

; #GP of WRMSR or RDMSR, which have two bytes. RDI = frame.
skip_instruction:
    add qword [rdi + frame.rip], 2
    mov qword [refused], 1
    ret

ap_main:
    mov rax, gs:[percpu.self]
    cmp qword gs:[percpu.number], 1
    jne .mine
    mov [other], rax
.mine:
    sti
.wait:
    mov rax, gs:[routine_of]
    test rax, rax
    jnz .run
    pause
    jmp .wait
.run:
    call rax
    sti
    mov qword gs:[routine_of], 0
    jmp .wait

; Carry set: no other CPU came.
wake_others:
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    delay_us 200
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    wait_for ARRIVAL_US, qword [other], ne, 0
    ret

; Has the other CPU run the routine at RAX, and waits until it is done. Changes RBX.
run_on_other:
    call start_on_other
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    ret

; The same without waiting.
start_on_other:
    mov rbx, [other]
    mov [rbx + routine_of], rax
    ret

; EAX = bits of EN and EXTD. The BSP bit and the address stay. Changes RAX, RCX, RDX.
write_base:
    push rbx
    mov ebx, eax
    mov qword [refused], 0
    mov ecx, IA32_APIC_BASE
    rdmsr
    and eax, ~MODE_BITS
    or eax, ebx
    wrmsr
    pop rbx
    ret

; RAX = bits of EN and EXTD. Changes RCX, RDX.
base_mode:
    mov ecx, IA32_APIC_BASE
    rdmsr
    and eax, MODE_BITS
    ret

; RAX = CPUID.01H:EDX[9]. Changes RBX, RCX, RDX.
cpuid_apic:
    mov eax, 1
    cpuid
    xor eax, eax
    test edx, CPUID_1_EDX_APIC
    setnz al
    ret

; ECX = MSR. RAX = 1 if reading it raises #GP. Changes RDX.
refuses_read:
    mov qword [refused], 0
    rdmsr
    mov rax, [refused]
    ret

; check_refused "name", mode bits: the write raises #GP and changes nothing. Changes RAX, RBX, RCX, RDX.
%macro check_refused 2
    call base_mode
    mov ebx, eax
    try_base %2
    call base_mode
    cmp eax, ebx
    je %%same
    mov qword [refused], 0
%%same:
    check_equal %1, [refused], 1
%endmacro

; ------------------------------------------------------------------------------------------------- all modes, one by one

; On the other CPU, which is in x2APIC mode. R8 = its x2APIC ID, R9 = its logical ID.
test_modes:
    cli
    apic_read APIC_ID
    mov r8, rax
    apic_read APIC_LDR
    mov r9, rax

    check_refused "x2APIC: to xAPIC mode at once is refused", APIC_BASE_EN
    check_refused "x2APIC: EXTD without EN is refused", APIC_BASE_EXTD
    check_refused "x2APIC: a reserved bit is refused", MODE_BITS | 1 << 9
    call base_mode
    check_equal "x2APIC: the mode is as before", rax, MODE_BITS
    mmio_read APIC_ID
    mov ebx, -1
    check_equal "x2APIC: the page is closed", rax, rbx
    apic_write APIC_TPR, NEW_TPR
    apic_write APIC_LVT_LINT1, NEW_LVT
    mmio_write APIC_TPR, 0x70
    apic_read APIC_TPR
    check_equal "x2APIC: and writes to it are lost", rax, NEW_TPR

    try_base 0
    check_equal "disabled: from x2APIC mode", [refused], 0
    call cpuid_apic
    check_equal "disabled: CPUID offers no APIC", rax, 0
    mov ecx, X2APIC_MSR + APIC_ID
    call refuses_read
    check_equal "disabled: the MSRs are gone", rax, 1
    mmio_read APIC_ID
    mov ebx, -1
    check_equal "disabled: and so is the page", rax, rbx
    mov rax, cr8
    check_equal "disabled: CR8 is TPR all the same", rax, NEW_TPR >> 4
    check_refused "disabled: to x2APIC mode at once is refused", MODE_BITS
    check_refused "disabled: EXTD without EN is refused", APIC_BASE_EXTD

    try_base APIC_BASE_EN
    mov qword gs:[percpu.is_x2apic], 0
    check_equal "xAPIC: from disabled", [refused], 0
    call cpuid_apic
    check_equal "xAPIC: CPUID offers an APIC again", rax, 1
    mov ecx, X2APIC_MSR + APIC_ID
    call refuses_read
    check_equal "xAPIC: the MSRs are not there", rax, 1
    apic_read APIC_ID
    mov ebx, r8d
    shl ebx, 24
    check_equal "xAPIC: the ID is the low byte of the x2APIC ID", rax, rbx
    apic_read APIC_TPR
    check_equal "xAPIC: TPR was kept", rax, NEW_TPR
    apic_read APIC_LVT_LINT1
    check_equal "xAPIC: the LVT was kept", rax, NEW_LVT
    apic_read APIC_SVR
    check_equal "xAPIC: SVR was kept", rax, SVR_ENABLED | SPURIOUS_VECTOR
    apic_read APIC_LDR
    check_equal "xAPIC: LDR is what x2APIC mode left", rax, r9
    apic_read APIC_DFR
    mov ebx, -1
    check_equal "xAPIC: DFR is flat", rax, rbx

    apic_write APIC_LDR, LOGICAL_ID << 24
    apic_write APIC_ICR2, 0x99000000
    apic_write APIC_ID, NEW_XID << 24
    apic_read APIC_ID
    shr eax, 24
    cmp eax, NEW_XID
    jne .read_only
    line "the 8-bit ID can be written"
    jmp .toggle
.read_only:
    line "the 8-bit ID is read-only"
.toggle:
    try_base 0
    try_base APIC_BASE_EN
    apic_read APIC_ID
    mov ebx, r8d
    shl ebx, 24
    check_equal "xAPIC: off and on, the ID is its own again", rax, rbx
    apic_read APIC_LDR
    check_equal "xAPIC: off and on, LDR was kept", rax, LOGICAL_ID << 24
    apic_write APIC_ID, NEW_XID << 24

    ; what waits and what runs goes over into x2APIC mode
    apic_write APIC_TPR, 0
    mov qword gs:[taken_of], 0
    send_ipi 0, ICR_SELF | ICR_ASSERT | VECTOR
    apic_write APIC_TDCR, TDCR_BY_1
    apic_write APIC_LVT_TIMER, TIMER_VECTOR
    apic_write APIC_TMICT, TIMER_COUNT
    try_base MODE_BITS
    mov qword gs:[percpu.is_x2apic], 1
    check_equal "x2APIC: from xAPIC mode", [refused], 0
    apic_read APIC_ID
    check_equal "x2APIC: the ID has 32 bits, whatever the other was", rax, r8
    apic_read APIC_LDR
    check_equal "x2APIC: LDR follows from it", rax, r9
    apic_read APIC_SVR
    check_equal "x2APIC: SVR was kept", rax, SVR_ENABLED | SPURIOUS_VECTOR
    mov ecx, X2APIC_MSR + APIC_ICR
    rdmsr
    cmp edx, 0x99000000
    setne al
    movzx eax, al
    check_equal "x2APIC: ICR has nothing of the old destination", rax, 1
    apic_read APIC_IRR + VECTOR / 32
    shr eax, VECTOR % 32
    and eax, 1
    check_equal "x2APIC: what waited still waits", rax, 1
    check_equal "x2APIC: and was not taken", gs:[taken_of], 0
    sti
    nop
    nop
    cli
    check_equal "x2APIC: it is taken when interrupts are on", gs:[taken_of], 1
    apic_read APIC_TMCCT
    xor ecx, ecx
    test eax, eax
    setnz cl
    check_equal "x2APIC: the timer still counts", rcx, 1
    sti
    hlt
    cli
    check_equal "x2APIC: and its interrupt comes", gs:[taken_of], 2
    ret

; ------------------------------------------------------------------------------------------------- a LAPIC that is off

; On the other CPU: waits with the LAPIC disabled, with interrupts on.
stay_off:
    try_base 0
    sti
    mov qword [is_off], 1
.wait:
    pause
    cmp qword [let_go], 0
    je .wait
    cli
    try_base APIC_BASE_EN
    try_base MODE_BITS
    ret

; Whatever is sent to a disabled LAPIC is lost.
test_deaf:
    mov rbx, [other]
    mov qword [rbx + taken_of], 0
    lea rax, [stay_off]
    call start_on_other
    wait_for ARRIVAL_US, qword [is_off], ne, 0
    mov r8, [rbx + percpu.id]
    mov r9, [rbx + percpu.arrivals]
    send_ipi r8d, ICR_FIXED | ICR_ASSERT | VECTOR
    send_ipi r8d, ICR_NMI | ICR_ASSERT
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_NMI | ICR_ASSERT
    send_ipi r8d, ICR_INIT | ICR_ASSERT
    send_ipi r8d, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    delay_us QUIET_US
    check_equal "disabled: no interrupt and no NMI arrives", [rbx + taken_of], 0
    mov qword [let_go], 1
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    check_carry "disabled: INIT does not stop it", "the CPU does not go on"
    delay_us QUIET_US
    check_equal "disabled: nothing was kept for later", [rbx + taken_of], 0
    check_equal "disabled: nor was it started again", [rbx + percpu.arrivals], r9
    send_ipi r8d, ICR_FIXED | ICR_ASSERT | VECTOR
    wait_for ARRIVAL_US, qword [rbx + taken_of], e, 1
    check_carry "enabled again: an interrupt arrives", "it does not"
    ret

; ----------------------------------------------------------------------------------------------------------------- INIT

; INIT keeps x2APIC mode: the CPU answers to its ID and finds itself in that mode.
test_init:
    mov rbx, [other]
    mov r8, [rbx + percpu.id]
    mov r9, [rbx + percpu.arrivals]
    inc r9
    send_ipi r8d, ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi r8d, ICR_FIXED | ICR_ASSERT | VECTOR
    send_ipi r8d, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    wait_for ARRIVAL_US, [rbx + percpu.arrivals], e, r9
    check_carry "INIT: in x2APIC mode the CPU answers to its ID", "it did not start again"
    delay_us QUIET_US
    mov rax, NO_XAPIC
    check_equal "INIT: it starts in x2APIC mode", [rbx + percpu.xapic_id], rax
    check_equal "INIT: with the ID it had", [rbx + percpu.apic_id], r8
    check_equal "INIT: an interrupt sent before STARTUP is lost", [rbx + taken_of], 1
    ret

guest_end
