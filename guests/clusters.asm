; clusters: logical destinations in all three forms: xAPIC flat, xAPIC cluster, x2APIC cluster.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        four or more. In x2APIC mode any IDs; with `xapic-only` exactly four.
; Method      application processors wait with interrupts on for a routine to run (`run_on`), which sets their logical
;             ID; every interrupt and NMI is counted by CPU. After each message the set of CPUs that took it is compared
;             with the set that should have, as bits by order of arrival (bit 0 = boot CPU). One count too many is an
;             error of its own (bit 63).
; Source      Intel SDM 3A "Logical Destination Mode" (flat and cluster model), "Logical Destination Mode in x2APIC Mode",
;             "Lowest Priority Delivery Mode".

%define MAX_CPUS 64
%include "lib/guest.inc"

ARRIVAL_US equ 2000                             ; longest wait for what must happen
QUIET_US   equ 100                              ; how long nothing must happen
VECTOR     equ 0x51
NMI_VECTOR equ 2
FLAT       equ 0xffffffff                       ; DFR
CLUSTER    equ 0x0fffffff
TWICE      equ 1 << 63

%define taken_of   percpu.user                  ; interrupts and NMIs that this CPU took
%define routine_of percpu.user + 8              ; what an application processor shall run; 0 = it waits

section .data
align 8, db 0
new_dfr:     dq FLAT                            ; for `set_logical_id`
logical_ids: dq 0                               ; one byte a CPU, in order of arrival

section .bss
alignb 8
by_number: resq MAX_CPUS                        ; records in order of arrival

section .text

; check_takers "name", destination, set, ICR bits besides ICR_LOGICAL. Destination and set: immediate or 64-bit register
; other than RAX and RCX. Preserves every register.
%macro check_takers 4
    push rax
    push rcx
    push rdx
    mov rcx, %2
    mov rdx, %3
    mov eax, ICR_LOGICAL | ICR_ASSERT | (%4)
    call takers
    check_equal %1, rax, rdx
    pop rdx
    pop rcx
    pop rax
%endmacro

; logical_id_of number, id: of the model that `new_dfr` names.
%macro logical_id_of 2
    mov byte [logical_ids + (%1)], %2
%endmacro

main:
    on_vector VECTOR, count_interrupt
    on_vector NMI_VECTOR, count_nmi
    call wake_others
    jc .too_few
    sti
    cmp qword gs:[percpu.is_x2apic], 0
    jne .x2apic
    call test_flat
    call test_cluster
    call test_model_by_model
    ret
.x2apic:
    call test_x2apic
    ret
.too_few:
    fail "CPUs", "this guest needs four, found ", dec, [cpu_count]
    ret

count_interrupt:
    inc qword gs:[taken_of]
    end_of_interrupt
    ret

count_nmi:
    inc qword gs:[taken_of]
    ret

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
    mov qword gs:[routine_of], 0
    jmp .wait

; Carry set: there are fewer than four CPUs.
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
.each:
    wait_for ARRIVAL_US, qword [rdx + rcx * 8 - 8], ne, 0
    jc .done
    dec ecx
    jnz .each
    cmp qword [cpu_count], 4
.done:
    ret

; Sends EAX (ICR bits) with VECTOR to ECX and waits for the CPUs of set RDX. Returns RAX = set of CPUs that took it, with
; TWICE if one took it more than once. Preserves everything else.
takers:
    push rbx
    push rcx
    push rsi
    push rdi
    mov edi, eax
    lea rsi, [by_number]
    mov ebx, [cpu_count]
.clear:
    mov rax, [rsi + rbx * 8 - 8]
    mov qword [rax + taken_of], 0
    dec ebx
    jnz .clear
    mov ebx, edi
    or ebx, VECTOR
    send_ipi ecx, ebx
    mov rax, ARRIVAL_US
    call start_wait
.again:
    call taken_set
    mov rbx, rax
    and rbx, rdx
    cmp rbx, rdx                                ; all who should
    je .quiet
    call wait_over
    jnc .again
.quiet:
    delay_us QUIET_US
    call taken_set
    pop rdi
    pop rsi
    pop rcx
    pop rbx
    ret

; RAX = set of CPUs that have counted something. Preserves everything else.
taken_set:
    push rbx
    push rcx
    push rsi
    lea rsi, [by_number]
    xor eax, eax
    mov ecx, [cpu_count]
.next:
    dec ecx
    mov rbx, [rsi + rcx * 8]
    cmp qword [rbx + taken_of], 0
    je .not_this
    bts rax, rcx
    cmp qword [rbx + taken_of], 1
    je .not_this
    bts rax, 63
.not_this:
    test ecx, ecx
    jnz .next
    pop rsi
    pop rcx
    pop rbx
    ret

; Lets every CPU run the routine at RAX, the boot CPU last. Changes RAX, RBX, RCX, RDX, RSI.
run_on_all:
    lea rsi, [by_number]
    mov ecx, 1
.start:
    mov rbx, [rsi + rcx * 8]
    mov [rbx + routine_of], rax
    inc ecx
    cmp ecx, [cpu_count]
    jb .start
    push rsi
    call rax
    pop rsi
    mov ecx, 1
.done:
    mov rbx, [rsi + rcx * 8]
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    inc ecx
    cmp ecx, [cpu_count]
    jb .done
    ret

; A routine of every CPU: model and logical ID of the xAPIC. Changes RAX, RCX, RDX.
set_logical_id:
    mov edx, [new_dfr]
    apic_write APIC_DFR, edx
    mov rcx, gs:[percpu.number]
    lea rdx, [logical_ids]
    movzx edx, byte [rdx + rcx]
    shl edx, 24
    apic_write APIC_LDR, edx
    ret

take_logical_ids:
    lea rax, [set_logical_id]
    jmp run_on_all

; ----------------------------------------------------------------------------------------------------------- flat model

test_flat:
    mov dword [new_dfr], FLAT
    logical_id_of 0, 0x01
    logical_id_of 1, 0x02
    logical_id_of 2, 0x04
    logical_id_of 3, 0x08
    call take_logical_ids
    apic_read APIC_LDR
    check_equal "flat: LDR holds bits 31:24 of what was written", rax, 0x01000000
    check_takers "flat: bit 0", 0x01, 1 << 0, ICR_FIXED
    check_takers "flat: bit 1", 0x02, 1 << 1, ICR_FIXED
    check_takers "flat: bit 3", 0x08, 1 << 3, ICR_FIXED
    check_takers "flat: several bits, several CPUs", 0x0a, 0xa, ICR_FIXED
    check_takers "flat: bits of nobody add nothing", 0xf2, 1 << 1, ICR_FIXED
    check_takers "flat: a bit of nobody", 0x10, 0, ICR_FIXED
    check_takers "flat: no bit", 0x00, 0, ICR_FIXED
    check_takers "flat: all bits", 0xff, 0xf, ICR_FIXED
    check_takers "flat: an NMI", 0x06, 0x6, ICR_NMI

    mov ecx, 0x06                               ; CPUs 1 and 2
    mov eax, ICR_LOGICAL | ICR_ASSERT | ICR_LOWEST
    call one_taker
    check_equal "flat: lowest priority goes to one of the set", rax, 1

    logical_id_of 2, 0x0c                       ; bits 2 and 3: CPU 3 has one of them, too
    call take_logical_ids
    check_takers "flat: a CPU with two bits, by the first", 0x04, 1 << 2, ICR_FIXED
    check_takers "flat: a bit that two CPUs have", 0x08, 0xc, ICR_FIXED
    logical_id_of 2, 0x00
    call take_logical_ids
    check_takers "flat: a CPU without a bit is in no set", 0x0f, 0xb, ICR_FIXED
    check_takers "flat: but all bits are everybody", 0xff, 0xf, ICR_FIXED
    ret

; -------------------------------------------------------------------------------------------------------- cluster model

test_cluster:
    mov dword [new_dfr], CLUSTER
    logical_id_of 0, 0x01                       ; cluster 0: CPUs 0 and 1
    logical_id_of 1, 0x02
    logical_id_of 2, 0x11                       ; cluster 1: CPUs 2 and 3
    logical_id_of 3, 0x18
    call take_logical_ids
    apic_read APIC_DFR
    mov ebx, CLUSTER
    check_equal "cluster: DFR reads ones in 27:0", rax, rbx
    check_takers "cluster: one CPU of cluster 0", 0x01, 1 << 0, ICR_FIXED
    check_takers "cluster: the other", 0x02, 1 << 1, ICR_FIXED
    check_takers "cluster: both", 0x03, 0x3, ICR_FIXED
    check_takers "cluster: the same bits of cluster 1 are other CPUs", 0x11, 1 << 2, ICR_FIXED
    check_takers "cluster: all bits of a cluster", 0x1f, 0xc, ICR_FIXED
    check_takers "cluster: no bit of a cluster", 0x10, 0, ICR_FIXED
    check_takers "cluster: a bit of nobody", 0x14, 0, ICR_FIXED
    check_takers "cluster: a cluster without CPUs", 0x2f, 0, ICR_FIXED
    check_takers "cluster: cluster 15 is one like the others", 0xf1, 0, ICR_FIXED
    check_takers "cluster: 0xff is everybody", 0xff, 0xf, ICR_FIXED
    check_takers "cluster: an NMI", 0x19, 0xc, ICR_NMI
    mov ecx, 0x19                               ; CPUs 2 and 3
    mov eax, ICR_LOGICAL | ICR_ASSERT | ICR_LOWEST
    call one_taker
    check_equal "cluster: lowest priority goes to one of the set", rax, 1
    ret

; CPUs 0 and 1 in the flat model, 2 and 3 in the cluster model: every one compares in its own.
test_model_by_model:
    mov dword [new_dfr], FLAT
    logical_id_of 0, 0x01
    logical_id_of 1, 0x12
    call take_logical_ids
    mov dword [new_dfr], CLUSTER
    lea rax, [set_logical_id]
    lea rsi, [by_number]
    mov ecx, 2
.next:
    mov rbx, [rsi + rcx * 8]
    mov [rbx + routine_of], rax
    wait_for ARRIVAL_US, qword [rbx + routine_of], e, 0
    inc ecx
    cmp ecx, 4
    jb .next
    check_takers "both models: a bit of the flat one", 0x01, 1 << 0, ICR_FIXED
    check_takers "both models: a flat bit that is also a cluster", 0x11, 0x7, ICR_FIXED
    check_takers "both models: 0xff is everybody", 0xff, 0xf, ICR_FIXED
    ret

; Sends EAX to ECX and returns RAX = how many CPUs took it (TWICE counts, too). Changes RCX, RDX.
one_taker:
    xor edx, edx
    call takers
    mov rdx, rax
    mov rax, ARRIVAL_US
    call start_wait
.wait:                                          ; nobody yet: whoever it is may take his time
    test rdx, rdx
    jnz .taken
    call taken_set
    mov rdx, rax
    call wait_over
    jnc .wait
.taken:
    xor eax, eax
.count:
    test rdx, rdx
    jz .done
    lea rcx, [rdx - 1]
    and rdx, rcx                                ; without its lowest bit
    inc eax
    jmp .count
.done:
    ret

; -------------------------------------------------------------------------------------------------------------- x2APIC

; The x2APIC IDs are whatever they are: sets and destinations follow from them.
test_x2apic:
    xor r8d, r8d                                ; R8 = CPUs whose LDR is not what follows from their ID
    xor r9d, r9d                                ; R9 = CPUs that their LDR alone did not reach
    xor r10d, r10d                              ; R10 = clusters whose members were not reached by all bits together
    xor r11d, r11d                              ; R11 = the same for lowest priority: not exactly one member
    lea rax, [note_ldr]
    call run_on_all
    xor r12d, r12d                              ; R12 = CPU
.next:
    lea rsi, [by_number]
    mov rbx, [rsi + r12 * 8]
    mov rcx, [rbx + percpu.id]
    call logical_x2apic_id
    cmp [rbx + percpu.work], rax
    je .right
    inc r8d
.right:
    mov rcx, rax
    xor edx, edx
    bts rdx, r12
    mov eax, ICR_LOGICAL | ICR_ASSERT
    call takers
    cmp rax, rdx
    je .reached
    inc r9d
.reached:
    call cluster_of                             ; R13 = its cluster, R14 = members, R15 = their bits
    mov ecx, r13d
    or ecx, 0xffff
    mov rdx, r14
    mov eax, ICR_LOGICAL | ICR_ASSERT
    call takers
    cmp rax, r14
    je .whole
    inc r10d
.whole:
    mov ecx, r13d
    or ecx, r15d
    mov eax, ICR_LOGICAL | ICR_ASSERT | ICR_LOWEST
    call one_taker
    cmp rax, 1
    je .one
    inc r11d
.one:
    inc r12d
    cmp r12d, [cpu_count]
    jb .next
    check_equal "x2APIC: every LDR follows from the ID", r8, 0
    check_equal "x2APIC: an LDR reaches its CPU, and no other", r9, 0
    check_equal "x2APIC: all bits reach the cluster, and no other", r10, 0
    check_equal "x2APIC: lowest priority goes to one of the cluster", r11, 0

    mov ecx, X2APIC_MSR + APIC_LDR
    call refuses_write
    check_equal "x2APIC: LDR is read-only", rax, 1
    mov ecx, X2APIC_MSR + APIC_DFR
    call refuses_write
    check_equal "x2APIC: there is no DFR", rax, 1

    mov rdx, 1
    mov ecx, [cpu_count]
    shl rdx, cl
    dec rdx                                     ; RDX = all CPUs
    mov ecx, 0xffffffff
    check_takers "x2APIC: 0xffffffff is everybody", rcx, rdx, ICR_FIXED
    check_takers "x2APIC: the same by NMI", rcx, rdx, ICR_NMI
    mov ecx, 0x7fff0000 | 0xffff
    check_takers "x2APIC: a cluster without CPUs", rcx, 0, ICR_FIXED
    mov r12d, 0
    call cluster_of
    check_takers "x2APIC: no bit of a cluster", r13, 0, ICR_FIXED
    ret

; A routine of every CPU.
note_ldr:
    apic_read APIC_LDR
    mov gs:[percpu.work], rax
    ret

; RCX = x2APIC ID. Returns RAX = (ID / 16) << 16 | 1 << (ID mod 16). Changes RCX, RDX.
logical_x2apic_id:
    mov edx, 1
    mov eax, ecx
    shr eax, 4
    shl eax, 16
    and ecx, 15
    shl edx, cl
    or eax, edx
    ret

; R12 = number of a CPU. Returns R13 = its cluster << 16, R14 = CPUs of the cluster, R15 = their bits in LDR.
; Changes RAX, RBX, RCX, RSI.
cluster_of:
    lea rsi, [by_number]
    mov rbx, [rsi + r12 * 8]
    mov r13d, [rbx + percpu.work]
    and r13d, 0xffff0000
    xor r14d, r14d
    xor r15d, r15d
    mov ecx, [cpu_count]
.next:
    dec ecx
    mov rbx, [rsi + rcx * 8]
    mov eax, [rbx + percpu.work]
    mov ebx, eax
    and eax, 0xffff0000
    cmp eax, r13d
    jne .not_this
    bts r14, rcx
    and ebx, 0xffff
    or r15d, ebx
.not_this:
    test ecx, ecx
    jnz .next
    ret

; ECX = MSR. Returns RAX = 1 if writing 0 raises #GP. Changes RDX.
refuses_write:
    on_vector 13, skip_instruction
    mov qword [refused], 0
    xor eax, eax
    xor edx, edx
    wrmsr
    mov rax, [refused]
    ret

; #GP of WRMSR, which has two bytes. RDI = frame.
skip_instruction:
    add qword [rdi + frame.rip], 2
    mov qword [refused], 1
    ret

section .bss
alignb 8
refused: resq 1

guest_end
