; timer: the local APIC timer in its three modes, and the TSC that it is measured with.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        two or more, for the comparison of TSCs; the timer tests run on the boot CPU.
; Method      program the timer, count its interrupts, compare with the TSC. The timer's input clock is taken to be at
;             most as fast as the TSC (both 1 GHz on x2vm), so "not too early" is exact and "too late" is a bounded wait.
; Source      Intel SDM 3A "APIC Timer", "TSC-Deadline Mode"; SDM 3B "Time-Stamp Counter".

%define MAX_CPUS 64
%include "lib/guest.inc"

ARRIVAL_US   equ 20000                          ; longest wait for what must happen
QUIET_US     equ 500                            ; how long nothing must happen
TIMER_VECTOR equ 0x60
ONE_SHOT     equ 0 << 17                        ; LVT timer modes
PERIODIC     equ 1 << 17
TSC_DEADLINE equ 2 << 17
IA32_TSC_DEADLINE equ 0x6e0
DIVIDE_BY_1  equ 0x0b

SHOT         equ 100000                         ; counts of the one-shot tests: 100 us at 1 GHz
FAR_US       equ 400                            ; far enough that there is time to change one's mind
PERIOD       equ 500000
PERIODS      equ 5
LONGEST      equ 0xffffffff
SAMPLE_US    equ 50                             ; time over which the divisors are compared
ATTEMPTS     equ 20                             ; a wall-clock machine may hold us up in the middle of a sample
TSC_ROUNDS   equ 2000

section .data
align 8, db 0
ticks:     dq 0                                 ; timer interrupts taken
tick_tsc:  dq 0                                 ; TSC at the last one
armed_tsc: dq 0                                 ; TSC before the timer was started
latest:    dq 0                                 ; latest TSC that any CPU has seen
backwards: dq 0                                 ; times that a CPU read less than that
comparing: dq 0                                 ; CPUs that finished their TSC_ROUNDS
base_rate: dq 0

; The register's value and the divisor it stands for, in order of the divisor.
divisors:
    db 0x0b, 1, 0x00, 2, 0x01, 4, 0x02, 8, 0x03, 16, 0x08, 32, 0x09, 64, 0x0a, 128
divisors_end:

section .text
main:
    on_vector TIMER_VECTOR, timer_handler
    call test_tsc
    apic_write APIC_TDCR, DIVIDE_BY_1
    sti
    call test_one_shot
    call test_masked
    call test_periodic
    call test_halt
    call test_divisors
    call test_deadline
    ret

timer_handler:
    call read_tsc
    mov [tick_tsc], rax
    inc qword [ticks]
    end_of_interrupt
    ret

; Starts the timer: LVT value, initial count.
%macro arm 2
    push rax
    mov qword [ticks], 0
    apic_write APIC_LVT_TIMER, %1
    call read_tsc
    mov [armed_tsc], rax
    pop rax
    apic_write APIC_TMICT, %2
%endmacro

; RAX = ticks, or counts, of FAR_US.
far_away:
    imul rax, [delay_factor], FAR_US * TICKS_PER_US
    ret

; RAX = ticks from `arm` to the last interrupt.
elapsed:
    mov rax, [tick_tsc]
    sub rax, [armed_tsc]
    ret

; check_at_least "name", value, minimum
%macro check_at_least 3
    push rax
    mov rax, %2
    cmp rax, %3
    pop rax
    jae %%pass
    fail %1, "got ", dec, %2, ", expected at least ", dec, %3
    jmp %%end
%%pass:
    pass %1
%%end:
%endmacro

; ------------------------------------------------------------------------------------------------------------------ TSC

ap_main:
compare_tsc:
    mov r8d, TSC_ROUNDS
.round:
    mov rbx, [latest]                           ; what somebody has read before ...
    lfence                                      ; (RDTSC may not go ahead of the load)
    call read_tsc
    cmp rax, rbx                                ; ... is not later than what we read now
    jae .in_order
    lock inc qword [backwards]
.in_order:
    mov rcx, rax
.publish:                                       ; latest = max(latest, RCX)
    mov rax, [latest]
    cmp rax, rcx
    jae .next
    lock cmpxchg [latest], rcx
    jne .publish
.next:
    dec r8d
    jnz .round
    lock inc qword [comparing]
    ret

test_tsc:
    call read_tsc
    mov rbx, rax
    xor ecx, ecx                                ; steps back
    mov edx, TSC_ROUNDS
.read:
    call read_tsc
    cmp rax, rbx
    jae .forward
    inc ecx
.forward:
    mov rbx, rax
    dec edx
    jnz .read
    check_equal "TSC: never runs backwards", rcx, 0
    call read_tsc
    mov rbx, rax
    call read_tsc
    cmp rbx, rax
    setb al
    movzx eax, al
    check_equal "TSC: runs", rax, 1

    send_ipi 0, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    call boot_cpu_count
    mov r12, rax
    wait_for ARRIVAL_US, [cpu_count], ae, r12
    test r12, r12
    jnz .known
    delay_us ARRIVAL_US                         ; without fw_cfg: whoever has come by then
    mov r12, [cpu_count]
.known:
    call compare_tsc
    wait_for ARRIVAL_US, [comparing], ae, r12
    check_equal "TSC: all CPUs took part", [comparing], r12
    check_equal "TSC: CPUs agree on what is later", [backwards], 0
    ret

; ---------------------------------------------------------------------------------------------------------------- modes

test_one_shot:
    arm TIMER_VECTOR | ONE_SHOT, SHOT
    wait_for ARRIVAL_US, qword [ticks], ae, 1
    delay_us QUIET_US
    check_equal "one-shot: one interrupt", [ticks], 1
    call elapsed
    check_at_least "one-shot: not before its time", rax, SHOT
    apic_read APIC_TMCCT
    check_equal "one-shot: the count ends at 0", rax, 0

    arm TIMER_VECTOR | ONE_SHOT, LONGEST
    apic_read APIC_TMCCT
    mov rbx, rax
    delay_us 10
    apic_read APIC_TMCCT
    cmp rax, rbx
    setb al
    movzx eax, al
    check_equal "one-shot: TMCCT counts down", rax, 1
    mov eax, LONGEST
    cmp rbx, rax
    setbe al
    movzx eax, al
    check_equal "one-shot: TMCCT starts at TMICT", rax, 1
    apic_read APIC_TMICT
    mov ebx, LONGEST
    check_equal "one-shot: TMICT keeps its value", rax, rbx

    call far_away
    arm TIMER_VECTOR | ONE_SHOT, eax
    apic_write APIC_TMICT, 0
    apic_read APIC_TMCCT
    check_equal "stop: TMICT 0 clears the count", rax, 0
    delay_us FAR_US * 5
    check_equal "stop: and no interrupt comes", [ticks], 0
    ret

test_masked:
    arm TIMER_VECTOR | ONE_SHOT | LVT_MASKED, SHOT
    delay_us SHOT * 4 / 1000
    check_equal "masked: no interrupt", [ticks], 0
    apic_read APIC_TMCCT
    check_equal "masked: the count runs all the same", rax, 0
    apic_write APIC_LVT_TIMER, TIMER_VECTOR | ONE_SHOT
    delay_us QUIET_US
    check_equal "masked: what expired is not made up for", [ticks], 0
    ret

test_periodic:
    arm TIMER_VECTOR | PERIODIC, PERIOD
    wait_for ARRIVAL_US, qword [ticks], ae, PERIODS
    check_at_least "periodic: it repeats", [ticks], PERIODS
    call elapsed
    check_at_least "periodic: not faster than its period", rax, PERIOD * PERIODS
    apic_read APIC_TMCCT
    mov ebx, PERIOD
    dec rax                                     ; 1 .. PERIOD
    cmp rax, rbx
    setb al
    movzx eax, al
    check_equal "periodic: the count stays within the period", rax, 1
    apic_write APIC_TMICT, 0
    delay_us QUIET_US                           ; (one may have been on its way)
    mov rbx, [ticks]
    delay_us PERIOD * 4 / 1000
    check_equal "periodic: TMICT 0 ends it", [ticks], rbx
    ret

test_halt:
    cli
    arm TIMER_VECTOR | ONE_SHOT, SHOT
    sti
    hlt
    check_equal "HLT: the timer wakes the CPU", [ticks], 1
    call elapsed
    check_at_least "HLT: not before its time", rax, SHOT
    ret

; ------------------------------------------------------------------------------------------------------------- divisors

; Every divisor gives its share of the rate that divisor 1 gives.
test_divisors:
    mov r13d, ATTEMPTS
.attempt:
    xor r12d, r12d                              ; divisors that are off
    lea rsi, [divisors]
.each:
    call sample_rate                            ; RAX = counts for 65,536 ticks
    movzx ecx, byte [rsi + 1]
    imul rax, rcx                               ; as many as without the divisor?
    cmp ecx, 1
    jne .compare
    mov [base_rate], rax
.compare:
    mov rcx, [base_rate]
    mov rdx, rcx
    shr rdx, 3                                  ; to an eighth
    sub rcx, rdx
    cmp rax, rcx
    jb .off
    lea rcx, [rcx + rdx * 2]
    cmp rax, rcx
    jbe .next
.off:
    inc r12d
.next:
    add rsi, 2
    lea rax, [divisors_end]
    cmp rsi, rax
    jb .each
    test r12d, r12d
    jz .judge
    dec r13d
    jnz .attempt
.judge:
    check_equal "divisors: 1, 2, 4 .. 128 divide the clock by that", r12, 0
    check_at_least "divisors: the count moves", [base_rate], 1
    apic_write APIC_TDCR, DIVIDE_BY_1
    ret

; RSI = entry of `divisors`. Returns RAX = counts in 65,536 ticks of the TSC. Changes RCX, RDX, RBX.
sample_rate:
    movzx eax, byte [rsi]
    apic_write APIC_TDCR, eax
    arm TIMER_VECTOR | ONE_SHOT | LVT_MASKED, LONGEST
    delay_us SAMPLE_US
    apic_read APIC_TMCCT
    mov rbx, rax
    call read_tsc
    sub rax, [armed_tsc]
    mov rcx, rax                                ; ticks
    apic_write APIC_TMICT, 0
    mov eax, LONGEST
    sub rax, rbx                                ; counts
    shl rax, 16
    xor edx, edx
    div rcx
    ret

; --------------------------------------------------------------------------------------------------------- TSC-deadline

; set_deadline: RAX = TSC value, 0 disarms. Changes RCX, RDX.
set_deadline:
    mov rdx, rax
    shr rdx, 32
    mov ecx, IA32_TSC_DEADLINE
    wrmsr
    ret

; RAX = the deadline that is armed, or 0. Changes RCX, RDX.
get_deadline:
    mov ecx, IA32_TSC_DEADLINE
    rdmsr
    shl rdx, 32
    or rax, rdx
    ret

test_deadline:
    mov eax, 1
    cpuid
    test ecx, CPUID_1_ECX_TSC_DEADLINE
    jnz .offered
    skip "TSC-deadline", "CPUID does not offer it"
    ret
.offered:
    mov qword [ticks], 0
    apic_write APIC_LVT_TIMER, TIMER_VECTOR | TSC_DEADLINE
    mfence                                      ; xAPIC mode: the store to the LVT must come before the WRMSR
    call read_tsc
    mov [armed_tsc], rax
    lea rbx, [rax + SHOT]
    mov rax, rbx
    call set_deadline
    wait_for ARRIVAL_US, qword [ticks], ae, 1
    delay_us QUIET_US
    check_equal "TSC-deadline: one interrupt", [ticks], 1
    check_at_least "TSC-deadline: not before the deadline", [tick_tsc], rbx
    call get_deadline
    check_equal "TSC-deadline: the MSR is 0 behind it", rax, 0

    mov qword [ticks], 0
    mov eax, 1                                  ; long ago
    call set_deadline
    wait_for ARRIVAL_US, qword [ticks], ae, 1
    delay_us QUIET_US
    check_equal "TSC-deadline: one in the past fires at once", [ticks], 1

    mov qword [ticks], 0
    call far_away
    mov rbx, rax
    call read_tsc
    add rbx, rax
    mov rax, rbx
    call set_deadline
    call get_deadline
    mov r12, rax
    xor eax, eax
    call set_deadline
    delay_us FAR_US * 2
    check_equal "TSC-deadline: the MSR holds what is armed", r12, rbx
    check_equal "TSC-deadline: 0 disarms", [ticks], 0

    mov qword [ticks], 0
    apic_write APIC_TMICT, SHOT
    apic_read APIC_TMCCT
    check_equal "TSC-deadline: TMCCT reads 0", rax, 0
    delay_us SHOT * 4 / 1000
    check_equal "TSC-deadline: TMICT is ignored", [ticks], 0

    mov qword [ticks], 0
    apic_write APIC_LVT_TIMER, TIMER_VECTOR | ONE_SHOT
    call read_tsc
    add rax, SHOT
    call set_deadline
    call get_deadline
    check_equal "TSC-deadline: in another mode the MSR stays 0", rax, 0
    delay_us SHOT * 4 / 1000
    check_equal "TSC-deadline: and nothing fires", [ticks], 0
    ret

guest_end
