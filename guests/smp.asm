; smp: wakes every application processor by broadcast, then each one again alone, and lets them all work.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        as many as the machine started with, by fw_cfg; without fw_cfg: whoever arrives. Up to MAX_CPUS.
; Method      broadcast INIT, STARTUP, STARTUP with the all-but-self shorthand; each CPU goes from real over protected
;             to 64-bit mode (lib/trampoline.inc), notes its IDs and does its share of counted work. Then every CPU
;             gets INIT, STARTUP, STARTUP to its own ID and must do all that once more, and nobody else may.

%define MAX_CPUS 4096
%define STACK_BYTES 512
%include "lib/guest.inc"

; check_work "name": the three shared counters hold what was done, and so does the sum over all CPUs.
%macro check_work 1
    %strcat xadd_name %1, ": LOCK XADD lost nothing"
    %strcat cmpxchg_name %1, ": LOCK CMPXCHG lost nothing"
    %strcat spinlock_name %1, ": the spinlock let nobody through"
    %strcat sum_name %1, ": the CPUs' own counts add up"
    xor edx, edx
    for_each_cpu
        add rdx, [rbx + percpu.work]
    next_cpu
    mov rax, [finished]
    imul rax, rax, ROUNDS
    check_equal xadd_name, [tickets], rax
    check_equal cmpxchg_name, [exchanged], rax
    check_equal spinlock_name, [guarded], rax
    check_equal sum_name, rdx, rax
%endmacro

ROUNDS     equ 1000                             ; units of work for each CPU and start
ARRIVAL_US equ 200000                           ; longest wait for CPUs to arrive and to finish
SETTLE_US  equ 20000                            ; without fw_cfg: nobody came for so long, so all are here

section .data
align 64, db 0
tickets:   dq 0                                 ; LOCK XADD: every CPU draws numbers
align 64, db 0
exchanged: dq 0                                 ; LOCK CMPXCHG: a counter the hard way
align 64, db 0
spinlock:  dd 0
guarded:   dq 0                                 ; plain INC under the spinlock
align 64, db 0
finished:  dq 0                                 ; shares of work that are done
expected:  dq 0                                 ; CPUs in the machine

section .text
main:
    call boot_cpu_count
    mov [expected], rax

    ; Broadcast.
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    delay_us 200
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    call work                                   ; the boot CPU does its share too
    cmp qword [expected], 0
    jne .counted
    call count_by_arrival
.counted:
    line "CPUs: ", dec, [expected]
    mov rax, [expected]
    wait_for ARRIVAL_US, qword [finished], e, rax
    check_equal "broadcast: all CPUs arrive", [cpu_count], [expected]
    check_equal "broadcast: all CPUs do their work", [finished], [expected]
    call check_records
    mov edx, 1
    call check_arrivals
    check_equal "broadcast: each CPU starts once", rax, 0
    check_work "broadcast"

    ; One by one.
    for_each_cpu
        cmp qword [rbx + percpu.number], 0
        je .next
        call restart
    .next:
    next_cpu
    mov rax, [expected]
    lea rdx, [rax + rax - 1]
    check_equal "one by one: all CPUs do their work again", [finished], rdx
    mov edx, 2
    call check_arrivals
    check_equal "one by one: each CPU starts once more", rax, 0
    check_equal "one by one: no CPU is new", [cpu_count], [expected]
    check_work "one by one"
    ret

ap_main:
work:
    mov r8d, ROUNDS
.round:
    mov eax, 1
    lock xadd [tickets], rax

    mov rax, [exchanged]
.retry:
    lea rdx, [rax + 1]
    lock cmpxchg [exchanged], rdx               ; on failure RAX is what is there now
    jne .retry

.lock:
    lock bts dword [spinlock], 0
    jnc .locked
.spin:
    pause
    test dword [spinlock], 1
    jnz .spin
    jmp .lock
.locked:
    inc qword [guarded]
    mov dword [spinlock], 0                     ; a plain store releases: stores are not reordered

    inc qword gs:[percpu.work]
    dec r8d
    jnz .round
    lock inc qword [finished]
    ret

; No fw_cfg: waits until nobody has come for SETTLE_US, and takes that number.
count_by_arrival:
    mov rax, [cpu_count]
    mov [expected], rax
    delay_us SETTLE_US
    cmp rax, [cpu_count]
    jne count_by_arrival
    ret

; RBX = record: INIT, STARTUP, STARTUP to that CPU alone; waits until its work is done.
restart:
    push rax
    push rcx
    push rdx
    mov rdx, [finished]
    inc rdx
    mov ecx, [rbx + percpu.id]
    send_ipi ecx, ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi ecx, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    delay_us 10
    send_ipi ecx, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    wait_for ARRIVAL_US, [finished], e, rdx
    jnc .done
    mov rcx, [rbx + percpu.id]
    fail "one by one", "CPU ", hex, rcx, " did not come back"
.done:
    pop rdx
    pop rcx
    pop rax
    ret

; EDX = arrivals that each application processor should have. Returns RAX = number of CPUs that have others.
check_arrivals:
    push rbx
    push rcx
    xor ecx, ecx
    for_each_cpu
        cmp qword [rbx + percpu.number], 0
        je .next
        cmp [rbx + percpu.arrivals], rdx
        je .next
        inc ecx
    .next:
    next_cpu
    mov eax, ecx
    pop rcx
    pop rbx
    ret

; Every CPU's sources of its ID agree, and every application processor saw all three modes.
check_records:
    xor ecx, ecx                                ; ECX = IDs that disagree
    xor edx, edx                                ; EDX = CPUs that missed a mode
    for_each_cpu
        mov rax, [rbx + percpu.id]
        cmp rax, [rbx + percpu.cpuid_b_id]
        je .leaf_b_agrees
        cmp qword [rbx + percpu.cpuid_b_id], NO_LEAF
        jne .differs
    .leaf_b_agrees:
        cmp rax, [rbx + percpu.apic_id]
        jne .differs
        movzx eax, al
        cmp rax, [rbx + percpu.cpuid_1_id]
        je .ids_agree
    .differs:
        inc ecx
    .ids_agree:
        cmp qword [rbx + percpu.number], 0
        je .next
        cmp qword [rbx + percpu.stages], STAGE_REAL | STAGE_PROTECTED | STAGE_LONG
        je .next
        inc edx
    .next:
    next_cpu
    check_equal "IDs: CPUID.1, CPUID.0BH and the APIC ID register agree", rcx, 0
    check_equal "modes: every CPU came through real, protected and 64-bit mode", rdx, 0
    ret

guest_end
