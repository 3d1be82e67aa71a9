; hotplug: a CPU is added to the running machine; the guest finds it, wakes it by its APIC ID and lets it join the work.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        one or more at boot (0x00 and 0x23, say), one more added while they work (0x123, say). Nothing in here
;             knows these numbers: they are read from the CPU-hotplug registers.
; Method      every CPU counts units of work, one shared count with LOCK and one of its own. The boot CPU polls the
;             registers in between. When a CPU was inserted it sends INIT and two STARTUPs to its ID, waits at most 2 ms
;             for it, and then asks: is it the right one, did it see the right IDs, did the message hit anybody else?
;             Each entry of the trampoline leaves the ID of whoever came in the entry log, so that a CPU that was
;             restarted by mistake is seen.
;
; Command line
;   xapic     the other boot CPUs stay in xAPIC mode (8-bit IDs), while the sender and the new CPU use x2APIC mode
;   reonline  before the new CPU is woken, the first other boot CPU gets INIT and STARTUP: does the new CPU, whose
;             8-bit ID may be the same, wake by that?
;   wall      for a machine whose time is the wall clock's (see lib/guest.inc)
;
; Source      QEMU docs/specs/acpi_cpu_hotplug, modern register block; Intel SDM 3A "MP Initialization Protocol",
;             "x2APIC ID", "ICR Operation in x2APIC Mode".

%define MAX_CPUS 64
%include "lib/guest.inc"

INSERT_US equ 50000                             ; longest wait for a CPU to be added
ARRIVE_US equ 2000                              ; longest wait for a CPU to start, to work on, to take an interrupt
SETTLE_US equ 100                               ; how long after an arrival somebody else may still turn up
UNITS     equ 64                                ; work of the boot CPU between two looks at the registers
ENOUGH    equ 1000                              ; units after which a CPU has joined the work
VECTOR    equ 0x40

; The register block. A slot is a position in the list of possible CPUs.
HOTPLUG         equ 0x0cd8
HOTPLUG_SELECT  equ HOTPLUG + 0                 ; write, dword: slot; read, dword: high half of the command data
HOTPLUG_FLAGS   equ HOTPLUG + 4                 ; byte
HOTPLUG_COMMAND equ HOTPLUG + 5                 ; byte
HOTPLUG_DATA    equ HOTPLUG + 8                 ; dword: command data
FLAG_ENABLED    equ 1 << 0
FLAG_INSERTED   equ 1 << 1                      ; write 1: the event is seen
COMMAND_FIND    equ 0                           ; select the next slot that has an event; data = slot
COMMAND_ID      equ 3                           ; data = APIC ID

%define interrupts_of percpu.user               ; interrupts that this CPU took

section .data
align 64, db 0
shared_work: dq 0                               ; units of all CPUs
align 64, db 0
stop_work:   dq 0
stopped:     dq 0                               ; CPUs that saw it

section .bss
alignb 8
new_id:      resq 1
new_slot:    resq 1
log_mark:    resq 1                             ; length of the entry log before a message was sent
arrivals_before: resq 1

section .text

; read_port port above 0xff, register al or eax.
%macro read_port 2
    mov dx, %1
    in %2, dx
%endmacro

main:
    on_vector VECTOR, interrupt_handler
    mov rbx, gs:[percpu.self]
    call introduce
    call find_registers
    jc .no_registers
    call start_boot_cpus
    sti
    line "working, and waiting for a CPU"
    call work_until_insert
    jc .no_insert
    line "CPU ", hex, [new_id], " inserted (slot ", dec, [new_slot], ")"
    pass "insert"
    has_word "reonline"
    jnc .wake
    call test_reonline
.wake:
    call test_wake
    jc .stop
    call test_ids
    call test_joined
    call test_addressed
.stop:
    call test_work
    ret
.no_registers:
    fail "boot", "no CPU-hotplug registers at port ", hex, HOTPLUG
    ret
.no_insert:
    fail "insert", "no CPU was added"
    jmp .stop

; What every other CPU does, from its start until the end of the run.
ap_main:
    sti
.work:
    call work_unit
    cmp qword [stop_work], 0
    je .work
    lock inc qword [stopped]
    ret

; The shared count first: a CPU that is restarted between the two has then done at most one unit too few of its own.
work_unit:
    lock inc qword [shared_work]
    inc qword gs:[percpu.work]
    ret

interrupt_handler:
    inc qword gs:[interrupts_of]
    end_of_interrupt
    ret

; -------------------------------------------------------------------------------------------------- the register block

; Carry set: the block is not there. QEMU starts with an older interface, a bitmap of CPUs, which ends when slot 0 is
; selected; the second look then reads 0, where the bitmap would have the bit of the first CPU.
find_registers:
    xor eax, eax
    mov dx, HOTPLUG_SELECT
    out dx, eax
    out dx, eax
    mov dx, HOTPLUG_COMMAND
    out dx, al
    read_port HOTPLUG_SELECT, eax
    cmp eax, 1
    cmc                                         ; carry = EAX is not 0
    ret

; EAX = slot: selects it. Changes RDX.
select_slot:
    mov dx, HOTPLUG_SELECT
    out dx, eax
    ret

; Returns RAX = APIC ID of the selected slot, 0 if there is no such slot. Changes RCX, RDX.
slot_id:
    out_port HOTPLUG_COMMAND, COMMAND_ID
    read_port HOTPLUG_SELECT, eax
    mov ecx, eax
    shl rcx, 32
    read_port HOTPLUG_DATA, eax
    or rax, rcx
    ret

; Looks for a slot with an insert event. Carry set: there is one; new_slot and new_id hold it. Changes RAX, RCX, RDX.
look_for_insert:
    xor eax, eax                                ; commands need a slot that exists, and search from it on
    call select_slot
    out_port HOTPLUG_COMMAND, COMMAND_FIND
    read_port HOTPLUG_FLAGS, al
    test al, FLAG_INSERTED
    jz .none                                    ; (carry is clear after TEST)
    read_port HOTPLUG_DATA, eax
    mov [new_slot], rax
    call slot_id
    mov [new_id], rax
    out_port HOTPLUG_FLAGS, FLAG_INSERTED
    stc
.none:
    ret

; ------------------------------------------------------------------------------------------------------------ starting

; Starts every CPU that is there at boot, slot by slot, except this one.
start_boot_cpus:
    mov r14, [use_x2apic]
    has_word "xapic"
    jnc .mode
    mov qword [use_x2apic], 0                   ; for the time being
.mode:
    xor r12d, r12d                              ; slot
    mov r13d, 1                                 ; CPUs that should be up
.slot:
    mov eax, r12d
    call select_slot
    call slot_id
    mov rbx, rax
    read_port HOTPLUG_FLAGS, al
    and eax, FLAG_ENABLED | FLAG_INSERTED
    mov ecx, eax
    or rcx, rbx
    jz .end                                     ; no flags and no ID: behind the last slot
    cmp eax, FLAG_ENABLED                       ; there, and not only just
    jne .next
    cmp rbx, gs:[percpu.id]
    je .next
    inc r13d
    mov rax, rbx
    call wake
    jc .missing
    call introduce
    jmp .next
.missing:
    fail "boot", "CPU ", hex, rax, " did not arrive"
.next:
    inc r12d
    jmp .slot
.end:
    mov [use_x2apic], r14
    cmp [cpu_count], r13
    jne .done
    pass "boot"
.done:
    ret

; RAX = APIC ID: INIT, STARTUP, STARTUP, and waits for it. Returns RBX = its record, or carry set: it did not come.
; log_mark = length of the entry log before. Changes RCX.
wake:
    push rax
    mov ecx, [abs ENTRY_LOG]
    mov [log_mark], rcx
    mov qword [arrivals_before], 0
    call find_record
    jc .new
    mov rcx, [rbx + percpu.arrivals]
    mov [arrivals_before], rcx
.new:
    mov rcx, rax
    line "INIT -> ", hex, rcx
    send_ipi ecx, ICR_INIT | ICR_ASSERT
    delay_us 10
    line "SIPI ", hex, STARTUP_VECTOR, " -> ", hex, rcx
    send_ipi ecx, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    delay_us 10
    line "SIPI ", hex, STARTUP_VECTOR, " -> ", hex, rcx
    send_ipi ecx, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    mov eax, ARRIVE_US
    call start_wait
.look:
    mov rax, rcx
    call find_record
    jc .not_yet
    mov rax, [rbx + percpu.arrivals]
    cmp rax, [arrivals_before]
    ja .here
.not_yet:
    call wait_over
    jnc .look
    stc
    jmp .done
.here:
    delay_us SETTLE_US
    clc
.done:
    pop rax
    ret

; RBX = record: one line on who that CPU is.
introduce:
    say "CPU ", hex, [rbx + percpu.id], " is up: xAPIC ID "
    mov rax, [rbx + percpu.xapic_id]
    call say_id
    say ", CPUID.1 ", hex, [rbx + percpu.cpuid_1_id], ", CPUID.0B "
    mov rax, [rbx + percpu.cpuid_b_id]
    call say_id
    say ", x2APIC ID "
    mov rax, [rbx + percpu.apic_id]
    cmp qword [rbx + percpu.is_x2apic], 0
    jne .x2apic
    mov rax, NO_XAPIC
.x2apic:
    call say_id
    call print_newline
    ret

; RAX = ID, or -1.
say_id:
    cmp rax, -1
    je .none
    say hex, rax
    ret
.none:
    say "none"
    ret

; The boot CPU's share, until a CPU is inserted. Carry set: none was.
work_until_insert:
    mov eax, INSERT_US
    call start_time
.more:
    mov ebx, UNITS
.unit:
    call work_unit
    dec ebx
    jnz .unit
    call look_for_insert
    jc .inserted
    call wait_over
    jnc .more
    ret
.inserted:
    clc
    ret

; --------------------------------------------------------------------------------------------------------------- tests

; EDX = ID. Returns RAX = how often it came through the trampoline since log_mark.
entries_since_mark:
    push rcx
    xor eax, eax
    mov rcx, [log_mark]
.next:
    cmp ecx, [abs ENTRY_LOG]
    jae .done
    cmp ecx, ENTRY_LOG_LENGTH
    jae .done
    cmp [abs ENTRY_LOG + 4 + rcx * 4], edx
    jne .other
    inc eax
.other:
    inc ecx
    jmp .next
.done:
    pop rcx
    ret

; A boot CPU gets INIT and STARTUP while the new CPU still waits: only the boot CPU may start.
test_reonline:
    for_each_cpu
        cmp qword [rbx + percpu.number], 1
        je .found
    next_cpu
    skip "reonline", "there is no second boot CPU"
    ret
.found:
    mov rax, [rbx + percpu.id]
    mov r12d, [failures]
    call wake
    jnc .came
    fail "reonline", "CPU ", hex, rax, " did not come back"
.came:
    mov rcx, rax
    for_each_cpu
        mov rdx, [rbx + percpu.id]
        cmp rdx, rcx
        je .next
        call entries_since_mark
        test eax, eax
        jz .next
        fail "reonline", "CPU ", hex, rdx, " was started by a message to ", hex, rcx
    .next:
    next_cpu
    cmp [failures], r12d
    jne .done
    pass "reonline"
.done:
    ret

; INIT and STARTUP to the new CPU: it must come, nobody else may be disturbed. Carry set: it did not come.
test_wake:
    mov r12, [new_id]
    cmp qword gs:[percpu.is_x2apic], 0
    jne .addressable
    cmp r12, 0xff
    jb .addressable
    fail "woke", "ID ", hex, r12, " cannot be addressed without x2APIC mode"
    stc
    ret
.addressable:
    xor r13d, r13d                              ; 1 = it did not come
    mov rax, r12
    call wake
    jnc .up
    fail "woke", "CPU ", hex, r12, " did not arrive"
    mov r13d, 1
    jmp .others
.up:
    call introduce
    pass "woke"
.others:
    mov r14d, [failures]
    for_each_cpu
        mov rdx, [rbx + percpu.id]
        cmp rdx, r12
        je .next
        call entries_since_mark
        test eax, eax
        jz .not_restarted
        fail "alias", "CPU ", hex, rdx, " was restarted"
        jmp .next
    .not_restarted:
        cmp rdx, gs:[percpu.id]
        je .next
        mov rcx, [rbx + percpu.work]
        wait_for ARRIVE_US, [rbx + percpu.work], ne, rcx
        jnc .next
        fail "alias", "CPU ", hex, rdx, " stopped working"
    .next:
    next_cpu
    cmp [failures], r14d
    jne .done
    pass "alias"
.done:
    cmp r13d, 1
    cmc                                         ; carry = R13 is not 0
    ret

; What the new CPU read on its way up.
test_ids:
    mov rax, [new_id]
    call find_record
    mov r14d, [failures]
    mov rdx, [rbx + percpu.apic_id]
    cmp rdx, rax
    je .apic
    fail "ids", "the APIC ID register holds ", hex, rdx
.apic:
    mov rdx, [rbx + percpu.cpuid_b_id]
    cmp rdx, NO_LEAF
    je .leaf_b
    cmp rdx, rax
    je .leaf_b
    fail "ids", "CPUID.0B says ", hex, rdx
.leaf_b:
    movzx ecx, al                               ; the 8-bit IDs are the low byte
    mov rdx, [rbx + percpu.cpuid_1_id]
    cmp rdx, rcx
    je .leaf_1
    fail "ids", "CPUID.1 says ", hex, rdx
.leaf_1:
    mov rdx, [rbx + percpu.xapic_id]
    cmp rdx, NO_XAPIC                           ; it started in x2APIC mode
    je .xapic
    cmp rdx, rcx
    je .xapic
    fail "ids", "in xAPIC mode its ID was ", hex, rdx
.xapic:
    cmp [failures], r14d
    jne .done
    pass "ids"
.done:
    ret

; The new CPU works.
test_joined:
    mov rax, [new_id]
    call find_record
    mov eax, ARRIVE_US
    call start_wait
.more:
    call work_unit                              ; so does this one
    cmp qword [rbx + percpu.work], ENOUGH
    jae .joined
    call wait_over
    jnc .more
    fail "joined", "CPU ", hex, [new_id], " does not work"
    ret
.joined:
    pass "joined"
    ret

; Now that everybody runs: an interrupt to each CPU's ID must be taken by that CPU alone.
test_addressed:
    mov r14d, [failures]
    for_each_cpu
        cmp rbx, gs:[percpu.self]
        je .skip
        mov rdi, rbx
        call interrupt_one
    .skip:
    next_cpu
    cmp [failures], r14d
    jne .done
    pass "addressed"
.done:
    ret

; RDI = record: one interrupt to that CPU, and a look at what all CPUs took.
interrupt_one:
    push rbx
    for_each_cpu
        mov qword [rbx + interrupts_of], 0
    next_cpu
    mov rcx, [rdi + percpu.id]
    send_ipi ecx, ICR_ASSERT | VECTOR
    wait_for ARRIVE_US, qword [rdi + interrupts_of], ae, 1
    jnc .taken
    fail "addressed", "an interrupt to ", hex, rcx, " did not reach it"
.taken:
    delay_us SETTLE_US
    for_each_cpu
        cmp rbx, rdi
        je .same
        cmp qword [rbx + interrupts_of], 0
        je .same
        mov rdx, [rbx + percpu.id]
        fail "addressed", "an interrupt to ", hex, rcx, " was taken by ", hex, rdx
    .same:
    next_cpu
    pop rbx
    ret

; Ends the work and compares: the shared count against the sum of the CPUs' own. A CPU that was restarted in the middle
; of a unit is one short each time.
test_work:
    mov qword [stop_work], 1
    mov rcx, [cpu_count]
    dec rcx                                     ; all but this one
    wait_for ARRIVE_US, [stopped], ae, rcx
    jnc .all_stopped
    fail "work", "not every CPU stopped"
.all_stopped:
    xor r12d, r12d                              ; sum of work
    xor r13d, r13d                              ; restarts
    lea rsi, [.first]
    say "work: "
    for_each_cpu
        call print_string
        lea rsi, [.separator]
        say hex, [rbx + percpu.id], " ", dec, [rbx + percpu.work]
        add r12, [rbx + percpu.work]
        mov rax, [rbx + percpu.arrivals]
        sub rax, 1                              ; the boot CPU has 0 arrivals, all others at least 1
        jc .next
        add r13, rax
    .next:
    next_cpu
    call print_newline
    mov rax, [shared_work]
    sub rax, r12
    jc .differ
    cmp rax, r13
    ja .differ
    pass "work"
    ret
.differ:
    fail "work", "together they counted ", dec, [shared_work], ", one by one ", dec, r12
    ret
.first:     db 0
.separator: db ", ", 0

guest_end
