; ipi: interrupts between CPUs, and from a CPU to itself: who takes them, in which order, and what holds them back.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        at least four, as many as the machine started with.
; Method      application processors wait with interrupts on for a routine to run (`run_on`). Every interrupt that a
;             CPU takes is counted by CPU and vector; the boot CPU sends and compares. Order is shown by a trace: a
;             handler writes a small letter when it starts and the capital when it is done.
; Source      Intel SDM 3A "Issuing Interprocessor Interrupts", "Handling Interrupts", "Interrupt, Task, and Processor
;             Priority", "Signaling Interrupt Servicing Completion", "Spurious Interrupt".

%define MAX_CPUS 64
%include "lib/guest.inc"

ARRIVAL_US equ 20000                            ; longest wait for what must happen
QUIET_US   equ 100                              ; how long nothing must happen, for "does not"

VECTOR_NMI equ 2
A_VECTOR   equ 0x51                             ; vectors of the traced handlers a, b, c, d
B_VECTOR   equ 0x63
C_VECTOR   equ 0x72
D_VECTOR   equ 0x50                             ; the same class as a, and below it
COUNTED    equ 0x40                             ; first of the vectors that are only counted
SELF       equ 0x41
LOW        equ 0x44
HIGH       equ 0x66
TWICE      equ 0x55

%define routine_of percpu.user                  ; what an application processor shall run; 0 = it waits
%define state_of percpu.user + 8                ; how far that routine is

AWAKE  equ 0
ASLEEP equ 1                                    ; about to execute HLT, or in it
WOKEN  equ 2

section .bss
alignb 8
by_number: resq MAX_CPUS                        ; records in order of arrival
taken:     resd MAX_CPUS * 256                  ; interrupts by CPU number and vector
trace:     resb 64
trace_end: resq 1
seen_ppr_a:   resq 1                            ; what handlers saw
seen_ppr_c:   resq 1
seen_isr_c:   resq 1
seen_isr_eoi: resq 1
seen_nmi:     resq 1
nmi_again:    resq 1                            ; not 0: the NMI handler sends its own CPU another one
twice_sent:   resq 1

section .text

; run_on record, routine: lets that CPU call the routine as soon as it looks.
%macro run_on 2
    push rax
    lea rax, [%2]
    mov qword [%1 + state_of], AWAKE
    mov [%1 + routine_of], rax
    pop rax
%endmacro

; RAX = how often CPU number %1 took vector %2 (immediates). Changes RAX only.
%macro taken_by 2
    mov eax, [taken + ((%1) * 256 + (%2)) * 4]
%endmacro

; check_trace "name", "letters": compares, and empties the trace.
%macro check_trace 2
    push rsi
    push rdi
    lea rsi, [%%name]
    lea rdi, [%%letters]
    call compare_trace
    pop rdi
    pop rsi
[section .data]
%%name: db %1, 0
%%letters: db %2, 0
__?SECT?__
%endmacro

; Sends the boot CPU itself a vector, the way its mode offers.
%macro send_self 1
    push rax
    mov eax, %1
    call self_ipi
    pop rax
%endmacro

main:
    call set_handlers
    call wake_others
    jc .too_few
    call test_self
    call test_unicast
    call test_broadcast
    call test_logical
    call test_priority
    call test_nesting
    call test_task_priority
    call test_queue
    call test_spurious
    call test_halt
    call test_nmi
    call test_disabled
    ret
.too_few:
    fail "CPUs", "this guest needs four, found ", dec, [cpu_count]
    ret

; ---------------------------------------------------------------------------------------------------- application CPUs

ap_main:
    mov rax, gs:[percpu.number]
    lea rcx, [by_number]
    mov rdx, gs:[percpu.self]
    mov [rcx + rax * 8], rdx
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

; Routines for `run_on`.

; HLT with interrupts on, and whatever TPR is.
halt_open:
    cli
    mov qword gs:[state_of], ASLEEP
    sti
    hlt                                         ; STI takes effect behind HLT: no interrupt can slip in between
    mov qword gs:[state_of], WOKEN
    ret

; HLT with interrupts on while TPR holds back class 5 and below.
halt_open_tpr:
    apic_write APIC_TPR, 0x50
    call halt_open
    apic_write APIC_TPR, 0                      ; and what was held back comes now
    ret

; HLT with interrupts off.
halt_shut:
    cli
    mov qword gs:[state_of], ASLEEP
    hlt
    mov qword gs:[state_of], WOKEN
    ret

; Clears the software-enable bit of the local APIC.
disable_apic:
    apic_write APIC_SVR, SPURIOUS_VECTOR
    ret

enable_apic:
    apic_write APIC_SVR, SVR_ENABLED | SPURIOUS_VECTOR
    ret

; xAPIC mode only: logical ID 1 << number in the flat model.
set_logical_id:
    mov rcx, gs:[percpu.number]
    mov eax, 1
    shl eax, cl
    shl eax, 24
    apic_write APIC_DFR, 0xffffffff
    apic_write APIC_LDR, eax
    ret

; ---------------------------------------------------------------------------------------------------------- preparation

set_handlers:
    on_vector VECTOR_NMI, nmi_handler
    on_vector A_VECTOR, a_handler
    on_vector B_VECTOR, b_handler
    on_vector C_VECTOR, c_handler
    on_vector D_VECTOR, d_handler
    on_vector COUNTED, count_handler
    on_vector SELF, count_handler
    on_vector LOW, count_handler
    on_vector HIGH, count_handler
    on_vector TWICE, twice_handler
    on_vector SPURIOUS_VECTOR, count_only
    lea rax, [trace]
    mov [trace_end], rax
    ret

; Starts all CPUs. Carry set: there are fewer than four.
wake_others:
    lea rax, [by_number]
    mov rdx, gs:[percpu.self]
    mov [rax], rdx
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    delay_us 200
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    call boot_cpu_count
    test rax, rax
    jnz .known
    mov eax, 4
.known:
    mov rcx, rax
    wait_for ARRIVAL_US, [cpu_count], ae, rcx
    lea rdx, [by_number]
.each:                                          ; and until every one of them waits for work
    wait_for ARRIVAL_US, qword [rdx + rcx * 8 - 8], ne, 0
    jc .done
    dec ecx
    jnz .each
    cmp qword [cpu_count], 4
.done:
    ret

; Empties the counters. Preserves every register.
clear_taken:
    push rax
    push rcx
    push rdi
    lea rdi, [taken]
    mov ecx, MAX_CPUS * 256
    xor eax, eax
    rep stosd
    pop rdi
    pop rcx
    pop rax
    ret

; EAX = vector. Returns RAX = how often all CPUs together took it. Preserves everything else.
taken_by_all:
    push rbx
    push rcx
    lea rbx, [taken]
    lea rbx, [rbx + rax * 4]
    xor eax, eax
    mov ecx, MAX_CPUS
.add:
    add eax, [rbx]
    add rbx, 256 * 4
    dec ecx
    jnz .add
    pop rcx
    pop rbx
    ret

; wait_taken vector, n: waits until all CPUs together took the vector n times, then long enough for one too many.
; Changes RAX.
%macro wait_taken 2
    push rdx
    mov rdx, %2
    mov rax, ARRIVAL_US
    call start_wait
%%again:
    mov eax, %1
    call taken_by_all
    cmp rax, rdx
    jae %%done
    call wait_over
    jnc %%again
%%done:
    delay_us QUIET_US
    pop rdx
%endmacro

; EAX = vector.
self_ipi:
    push rcx
    cmp qword gs:[percpu.is_x2apic], 0
    je .shorthand
    mov ecx, APIC_SELF_IPI
    call apic_set
    pop rcx
    ret
.shorthand:
    or eax, ICR_SELF | ICR_ASSERT
    xor ecx, ecx
    call apic_send
    pop rcx
    ret

; EAX = vector, ECX = APIC_IRR, APIC_ISR or APIC_TMR. Carry = the bit. Preserves RBX and everything above.
vector_bit:
    push rax
    push rdx
    mov edx, eax
    shr eax, 5
    add ecx, eax
    call apic_get
    and edx, 31
    bt eax, edx
    pop rdx
    pop rax
    ret

; Adds AL to the trace.
note:
    push rcx
    mov rcx, [trace_end]
    mov [rcx], al
    inc qword [trace_end]
    pop rcx
    ret

; RSI = name, RDI = the letters that should be there.
compare_trace:
    push rax
    push rbx
    mov rbx, [trace_end]
    mov byte [rbx], 0
    lea rbx, [trace]
    mov [trace_end], rbx
    xor eax, eax
.next:
    mov al, [rbx]
    cmp al, [rdi]
    jne .differ
    inc rbx
    inc rdi
    test al, al
    jnz .next
    say "PASS "
    call print_string
    call print_newline
    jmp .done
.differ:
    call count_failure
    say "FAIL "
    call print_string
    say ": the order was "
    lea rsi, [trace]
    call print_string
    call print_newline
.done:
    pop rbx
    pop rax
    ret

; ------------------------------------------------------------------------------------------------------------- handlers

; RDI = frame. Counts, for vectors that come without a bit in ISR.
count_only:
    mov rax, gs:[percpu.number]
    shl eax, 8
    add rax, [rdi + frame.vector]
    lea rcx, [taken]
    inc dword [rcx + rax * 4]
    ret

count_handler:
    call count_only
    end_of_interrupt
    ret

; Traced handlers: each writes its letter, does what the test is about, writes the capital, sends the EOI.
b_handler:
    mov al, 'b'
    call note
    mov al, 'B'
    call note
    end_of_interrupt
    ret

d_handler:
    mov al, 'd'
    call note
    mov al, 'D'
    call note
    end_of_interrupt
    ret

; Lets others in: c is of a higher class, d of its own.
a_handler:
    mov al, 'a'
    call note
    apic_read APIC_PPR
    mov [seen_ppr_a], rax
    cmp qword [nesting], 0
    je .alone
    send_self D_VECTOR
    send_self C_VECTOR
    sti
    delay_us QUIET_US
    cli
.alone:
    mov al, 'A'
    call note
    end_of_interrupt
    ret

; Notes what the priority registers say, before and behind its EOI.
c_handler:
    mov al, 'c'
    call note
    apic_read APIC_PPR
    mov [seen_ppr_c], rax
    call in_service
    mov [seen_isr_c], rax
    mov al, 'C'
    call note
    end_of_interrupt
    call in_service
    mov [seen_isr_eoi], rax
    ret

; RAX = bit 0: a is in service, bit 1: c is.
in_service:
    push rcx
    push rdx
    xor edx, edx
    mov eax, C_VECTOR
    mov ecx, APIC_ISR
    call vector_bit
    adc edx, edx
    mov eax, A_VECTOR
    mov ecx, APIC_ISR
    call vector_bit
    adc edx, edx
    mov eax, edx
    pop rdx
    pop rcx
    ret

; On its first run of a test sends its own vector three times.
twice_handler:
    call count_only
    cmp qword [twice_sent], 0
    jne .sent
    mov qword [twice_sent], 1
    send_self TWICE
    send_self TWICE
    send_self TWICE
.sent:
    end_of_interrupt
    ret

; No EOI: an NMI does not pass through ISR.
nmi_handler:
    call count_only
    cmp qword [nmi_again], 0
    je .done
    mov qword [nmi_again], 0
    mov rcx, gs:[percpu.id]
    send_ipi ecx, ICR_NMI | ICR_ASSERT
    delay_us QUIET_US
    mov rcx, gs:[percpu.number]
    shl ecx, 8
    lea rax, [taken]
    mov eax, [rax + (rcx + VECTOR_NMI) * 4]
    mov [seen_nmi], rax                         ; still 1 if the second one waits
.done:
    ret

section .data
align 8, db 0
nesting: dq 0                                   ; not 0: a lets others in

section .text
; ---------------------------------------------------------------------------------------------------------------- tests

test_self:
    cli
    send_self SELF
    send_self SELF                              ; (merges with the first)
    delay_us QUIET_US
    taken_by 0, SELF
    check_equal "self: held while interrupts are off", rax, 0
    mov eax, SELF
    mov ecx, APIC_IRR
    call vector_bit
    setc al
    movzx eax, al
    check_equal "self: IRR holds it", rax, 1
    sti
    nop
    wait_taken SELF, 1
    taken_by 0, SELF
    check_equal "self: taken once when they are on", rax, 1
    cli
    mov eax, SELF
    mov ecx, APIC_IRR
    call vector_bit
    setc al
    movzx eax, al
    check_equal "self: IRR is empty again", rax, 0
    sti
    send_ipi 0, ICR_SELF | ICR_ASSERT | SELF
    wait_taken SELF, 2
    taken_by 0, SELF
    check_equal "self: by shorthand", rax, 2
    mov rcx, gs:[percpu.id]
    send_ipi ecx, ICR_ASSERT | SELF
    wait_taken SELF, 3
    taken_by 0, SELF
    check_equal "self: by its own ID", rax, 3
    call clear_taken
    ret

; Each CPU by its ID: it and nobody else.
test_unicast:
    xor r12d, r12d                              ; CPUs that did not take theirs
    mov r14d, 1
.each:
    call clear_taken
    lea rbx, [by_number]
    mov rbx, [rbx + r14 * 8]
    mov rcx, [rbx + percpu.id]
    send_ipi ecx, ICR_ASSERT | COUNTED
    wait_taken COUNTED, 1
    mov eax, COUNTED
    call taken_by_all
    cmp rax, 1
    jne .bad
    mov eax, r14d
    shl eax, 8
    lea rcx, [taken]
    cmp dword [rcx + (rax + COUNTED) * 4], 1
    je .next
.bad:
    inc r12d
.next:
    inc r14d
    cmp r14, [cpu_count]
    jb .each
    check_equal "unicast: the addressed CPU takes it, and no other", r12, 0
    call clear_taken
    mov ecx, 0x7e                               ; nobody has this ID
    send_ipi ecx, ICR_ASSERT | COUNTED
    delay_us QUIET_US
    mov eax, COUNTED
    call taken_by_all
    check_equal "unicast: an ID without a CPU is lost", rax, 0
    ret

test_broadcast:
    call clear_taken
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_ASSERT | COUNTED
    mov rdx, [cpu_count]
    dec rdx
    wait_taken COUNTED, rdx
    mov eax, COUNTED
    call taken_by_all
    check_equal "all but self: each other CPU takes one", rax, rdx
    taken_by 0, COUNTED
    check_equal "all but self: not the sender", rax, 0
    call clear_taken
    send_ipi 0, ICR_ALL | ICR_ASSERT | COUNTED
    wait_taken COUNTED, [cpu_count]
    mov eax, COUNTED
    call taken_by_all
    check_equal "all: each CPU takes one", rax, [cpu_count]
    taken_by 0, COUNTED
    check_equal "all: the sender too", rax, 1
    call clear_taken
    mov ecx, 0xff
    cmp qword gs:[percpu.is_x2apic], 0
    je .xapic
    mov ecx, 0xffffffff
.xapic:
    send_ipi ecx, ICR_ASSERT | COUNTED
    wait_taken COUNTED, [cpu_count]
    mov eax, COUNTED
    call taken_by_all
    check_equal "broadcast ID: each CPU takes one", rax, [cpu_count]
    ret

; Logical destinations name a set: here CPUs number 1 and 2 (or, with x2APIC clusters, 1 alone if 2 is elsewhere).
test_logical:
    call clear_taken
    mov rbx, [by_number + 1 * 8]
    mov r12d, 1 << (24 + 1) | 1 << (24 + 2)     ; flat model: logical ID in bits 31:24
    shr r12d, 24
    mov r13d, 2
    cmp qword gs:[percpu.is_x2apic], 0
    jne .cluster
    run_on rbx, set_logical_id
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    mov rbx, [by_number + 2 * 8]
    run_on rbx, set_logical_id
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    mov rbx, [by_number + 3 * 8]
    run_on rbx, set_logical_id
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    jmp .send
.cluster:                                       ; logical ID = ID[19:4] << 16 | 1 << ID[3:0]
    mov rax, [rbx + percpu.id]
    call logical_id
    mov r12d, eax
    mov rbx, [by_number + 2 * 8]
    mov rax, [rbx + percpu.id]
    call logical_id
    mov edx, eax
    xor edx, r12d
    shr edx, 16
    jz .same_cluster
    mov r13d, 1
    jmp .send
.same_cluster:
    or r12d, eax
.send:
    send_ipi r12d, ICR_LOGICAL | ICR_ASSERT | COUNTED
    wait_taken COUNTED, r13
    mov eax, COUNTED
    call taken_by_all
    check_equal "logical: as many take it as the set has", rax, r13
    taken_by 1, COUNTED
    check_equal "logical: a member takes it", rax, 1
    taken_by 3, COUNTED
    check_equal "logical: others do not", rax, 0
    call clear_taken
    send_ipi r12d, ICR_LOGICAL | ICR_LOWEST | ICR_ASSERT | COUNTED
    wait_taken COUNTED, 1
    mov eax, COUNTED
    call taken_by_all
    check_equal "lowest priority: one of the set takes it", rax, 1
    ret

; EAX = x2APIC ID. Returns EAX = its logical ID. Changes ECX.
logical_id:
    mov ecx, eax
    shr eax, 4
    shl eax, 16
    and ecx, 15
    bts eax, ecx
    ret

test_priority:
    cli
    send_self A_VECTOR
    send_self C_VECTOR
    send_self B_VECTOR
    sti
    delay_us QUIET_US
    check_trace "priority: the highest vector first", "cCbBaA"
    cli
    apic_read APIC_PPR
    check_equal "priority: PPR is 0 when nothing is in service", rax, 0
    sti
    ret

test_nesting:
    mov qword [nesting], 1
    send_self A_VECTOR
    delay_us QUIET_US * 4
    mov qword [nesting], 0
    check_trace "nesting: a higher class interrupts a handler, its own class waits", "acCAdD"
    check_equal "nesting: PPR has the class in service", [seen_ppr_a], A_VECTOR & 0xf0
    check_equal "nesting: PPR has the higher class inside", [seen_ppr_c], C_VECTOR & 0xf0
    check_equal "EOI: both are in service inside", [seen_isr_c], 3
    check_equal "EOI: it ends the highest only", [seen_isr_eoi], 1
    cli
    call in_service
    check_equal "EOI: nothing is left in service", rax, 0
    end_of_interrupt
    apic_read APIC_PPR
    check_equal "EOI: one too many does nothing", rax, 0
    sti
    ret

test_task_priority:
    cli
    apic_write APIC_TPR, 0x63
    apic_read APIC_PPR
    check_equal "TPR: PPR follows it", rax, 0x63
    mov rax, cr8
    check_equal "TPR: CR8 is its class", rax, 6
    send_self A_VECTOR
    send_self B_VECTOR
    send_self C_VECTOR
    sti
    delay_us QUIET_US
    check_trace "TPR: only classes above it pass", "cC"
    mov eax, 5
    mov cr8, rax
    delay_us QUIET_US
    apic_read APIC_TPR
    check_equal "TPR: CR8 writes it", rax, 0x50
    check_trace "TPR: lowering it lets the next class pass", "bB"
    apic_write APIC_TPR, 0
    delay_us QUIET_US
    check_trace "TPR: 0 lets everything pass", "aA"
    cli
    apic_write APIC_TPR, 0x43
    sti
    send_self A_VECTOR
    delay_us QUIET_US
    check_trace "TPR: a class above it passes at once", "aA"
    check_equal "TPR: PPR is the higher of TPR and the vector in service", [seen_ppr_a], A_VECTOR & 0xf0
    apic_write APIC_TPR, 0
    ret

test_queue:
    call clear_taken
    cli
    mov qword [twice_sent], 1                   ; (the handler adds none)
    send_self TWICE
    send_self TWICE
    send_self TWICE
    sti
    wait_taken TWICE, 1
    taken_by 0, TWICE
    check_equal "queue: what waits merges into one", rax, 1
    mov qword [twice_sent], 0
    call clear_taken
    send_self TWICE
    wait_taken TWICE, 2
    taken_by 0, TWICE
    check_equal "queue: one in service and one waiting", rax, 2
    ret

; A vector that waits when TPR rises above it: the CPU may take the spurious vector instead, which leaves no trace in
; ISR, or nothing at all (KVM, x2vm). In no case does it take the vector itself.
test_spurious:
    apic_read APIC_SVR
    and eax, SVR_ENABLED | 0xff
    check_equal "spurious: SVR holds what was written", rax, SVR_ENABLED | SPURIOUS_VECTOR
    call clear_taken
    cli
    send_self LOW
    apic_write APIC_TPR, 0x60
    sti
    delay_us QUIET_US
    taken_by 0, LOW
    check_equal "spurious: TPR holds back what already waited", rax, 0
    cli
    apic_read APIC_PPR
    check_equal "spurious: nothing is in service", rax, 0x60
    sti
    apic_write APIC_TPR, 0
    wait_taken LOW, 1
    taken_by 0, LOW
    check_equal "spurious: the vector is not lost", rax, 1
    ret

test_halt:
    call clear_taken
    mov rbx, [by_number + 1 * 8]
    mov rcx, [rbx + percpu.id]

    run_on rbx, halt_open
    wait_for ARRIVAL_US, qword [rbx + state_of], e, ASLEEP
    delay_us QUIET_US
    check_equal "HLT: sleeps", [rbx + state_of], ASLEEP
    send_ipi ecx, ICR_ASSERT | LOW
    wait_for ARRIVAL_US, qword [rbx + state_of], e, WOKEN
    check_carry "HLT: an interrupt wakes it", "it did not"
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    taken_by 1, LOW
    check_equal "HLT: and is taken", rax, 1

    run_on rbx, halt_open_tpr
    wait_for ARRIVAL_US, qword [rbx + state_of], e, ASLEEP
    send_ipi ecx, ICR_ASSERT | LOW
    delay_us QUIET_US
    check_equal "HLT: a vector that TPR holds back does not wake it", [rbx + state_of], ASLEEP
    send_ipi ecx, ICR_ASSERT | HIGH
    wait_for ARRIVAL_US, qword [rbx + state_of], e, WOKEN
    check_carry "HLT: one above TPR does", "it did not"
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    wait_taken LOW, 2
    taken_by 1, LOW
    check_equal "HLT: the one held back comes when TPR is lowered", rax, 2

    run_on rbx, halt_shut
    wait_for ARRIVAL_US, qword [rbx + state_of], e, ASLEEP
    send_ipi ecx, ICR_ASSERT | LOW
    delay_us QUIET_US
    check_equal "HLT: with interrupts off an interrupt does not wake it", [rbx + state_of], ASLEEP
    send_ipi ecx, ICR_NMI | ICR_ASSERT
    wait_for ARRIVAL_US, qword [rbx + state_of], e, WOKEN
    check_carry "HLT: an NMI does", "it did not"
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    wait_taken LOW, 3
    taken_by 1, LOW
    check_equal "HLT: the interrupt is taken when they are on", rax, 3
    taken_by 1, VECTOR_NMI
    check_equal "HLT: the NMI is taken once", rax, 1
    ret

test_nmi:
    call clear_taken
    mov rbx, [by_number + 2 * 8]
    mov rcx, [rbx + percpu.id]
    send_ipi ecx, ICR_NMI | ICR_ASSERT
    wait_taken VECTOR_NMI, 1
    taken_by 2, VECTOR_NMI
    check_equal "NMI: the addressed CPU takes it", rax, 1
    mov eax, VECTOR_NMI
    call taken_by_all
    check_equal "NMI: and no other", rax, 1
    call clear_taken
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_NMI | ICR_ASSERT
    mov rdx, [cpu_count]
    dec rdx
    wait_taken VECTOR_NMI, rdx
    mov eax, VECTOR_NMI
    call taken_by_all
    check_equal "NMI: all but self", rax, rdx
    taken_by 0, VECTOR_NMI
    check_equal "NMI: not the sender", rax, 0
    call clear_taken
    mov qword [nmi_again], 1
    send_ipi ecx, ICR_NMI | ICR_ASSERT
    wait_taken VECTOR_NMI, 2
    check_equal "NMI: a second one waits while the first is handled", [seen_nmi], 1
    taken_by 2, VECTOR_NMI
    check_equal "NMI: and comes behind IRET", rax, 2
    ret

; SVR bit 8 off: fixed interrupts are lost, NMIs are not.
test_disabled:
    call clear_taken
    mov rbx, [by_number + 3 * 8]
    mov rcx, [rbx + percpu.id]
    run_on rbx, disable_apic
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    send_ipi ecx, ICR_ASSERT | COUNTED
    delay_us QUIET_US
    send_ipi ecx, ICR_NMI | ICR_ASSERT
    wait_taken VECTOR_NMI, 1
    taken_by 3, VECTOR_NMI
    check_equal "disabled APIC: an NMI passes", rax, 1
    run_on rbx, enable_apic
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    delay_us QUIET_US
    taken_by 3, COUNTED
    check_equal "disabled APIC: a fixed interrupt is lost", rax, 0
    call clear_taken
    send_ipi ecx, ICR_ASSERT | COUNTED
    wait_taken COUNTED, 1
    taken_by 3, COUNTED
    check_equal "disabled APIC: enabled again, it takes them", rax, 1
    ret

guest_end
