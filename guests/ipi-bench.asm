; ipi-bench: interrupts between CPUs, for a stopwatch outside: what one costs, in which pattern, how late it comes.
;
; Contract    see lib/guest.inc (multiboot 1, loaded at 1 MiB, `main` in 64-bit mode on the boot CPU).
; CPUs        as many as the machine started with, by fw_cfg; most rows need two.
; Words       the name of a row (table `rows`); `count=n`: how often, default 1; `latency`: also measure, by TSC, the
;             time from each send to the first instruction of its handler; `distribution`: and say how it is distributed;
;             `x2apic-only`: fail where CPUID offers no x2APIC mode; `xapic-only`, `wall`: lib/guest.inc.
; Method      all CPUs are awake before the line START; what a row does follows, then a line with the number of
;             interrupts that arrived and the TSC ticks, and with `latency` one with its distribution. A lost interrupt
;             shows: the row never ends.
;             Every interrupt goes the whole way: ICR, IDT, ISR, EOI, IRETQ (NMI, INIT and STARTUP without EOI).

%define MAX_CPUS 4096
%define STACK_BYTES 512
%include "lib/guest.inc"

VECTOR_NMI   equ 2
PING         equ 0x50                           ; to the boot CPU
PONG         equ 0x51                           ; to the other one, who answers
TOKEN        equ 0x52                           ; to be passed on
FINISH       equ 0x53                           ; to the boot CPU: no token is left
CAST         equ 0x54                           ; counted for all CPUs together, stamped for all together
MESH         equ 0x55                           ; the same, stamped for each CPU
STREAM       equ 0x60                           ; first of those in flight at once
STREAM_MOST  equ 16
ARRIVAL_US   equ 400000                         ; longest wait for all CPUs to be awake
SETTLE_US    equ 2                              ; ... and for the last of them to reach its loop
DISTRIBUTION_SHIFT equ 6                        ; about 64 pairs
HISTOGRAM    equ 65536                          ; ticks; what takes longer counts as the last of them

%define peer_of    percpu.user                  ; record of the CPU that this one sends to
%define sent_at_of percpu.user + 8              ; TSC when the last interrupt was sent to this CPU

section .bss
alignb 64
by_number:   resq MAX_CPUS                      ; records in order of arrival, boot CPU first
ap_routine:  resq 1                             ; what the others do
is_measured: resq 1                             ; not 0: `latency`
sent_in_all: resq 1                             ; interrupts that arrived, as the row counts them
cast_at:     resq 1                             ; TSC of the last send to all
stream_at:   resq STREAM_MOST
stream_busy: resq STREAM_MOST                   ; not 0: that vector is in flight
alignb 64
received:    resq 1                             ; by the CPU that a row counts at
alignb 64
arrived:     resq 1                             ; by all CPUs; for MESH, CAST and those that started
alignb 64
remaining:   resq 1                             ; hops that the tokens have left
tokens:      resq 1
finished:    resq 1
ready:       resq 1                             ; CPUs that have the logical ID they need
started:     resq 1                             ; not 0: the mesh may begin
cpus:        resq 1
histogram:   resd HISTOGRAM

ROW_NAME_BYTES equ 24
ROW_BYTES      equ ROW_NAME_BYTES + 32

; What a row needs of the APICs, beside CPUs.
ANY_APIC       equ 0
XAPIC_MODE     equ 1
X2APIC_MODE    equ 2
KVM_SEND_IPI   equ 3                            ; the hypercall, offered in CPUID

; row "name", routine of the boot CPU, routine of the others, CPUs that it needs, ANY_APIC or what else it needs
%macro row 5
    %%name: db %1
    times ROW_NAME_BYTES - ($ - %%name) db 0
    dq %2, %3, %4, %5
%endmacro

section .data
align 8, db 0
; A row's routine does its work R12 times and returns in RAX how many interrupts that took; it may change every
; register but RSP. Interrupts are on.
rows:
    row "dry",             dry, wait_halted, 1, ANY_APIC
    row "self",            self, wait_halted, 1, ANY_APIC
    row "pingpong-spin",   pingpong_spin, second_spins, 2, ANY_APIC
    row "pingpong-halt",   pingpong_halt, wait_halted, 2, ANY_APIC
    row "stream-1",        stream_1, second_spins, 2, ANY_APIC
    row "stream-16",       stream_16, second_spins, 2, ANY_APIC
    row "ring",            ring, wait_halted, 2, ANY_APIC
    row "pairs",           pairs, wait_halted, 2, ANY_APIC
    row "mesh",            mesh, mesh_other, 2, ANY_APIC
    row "broadcast-spin",  broadcast, wait_spinning, 2, ANY_APIC
    row "broadcast-halt",  broadcast, wait_halted, 2, ANY_APIC
    row "nmi",             nmi, wait_halted, 2, ANY_APIC
    row "wake-broadcast",  wake_broadcast, sleep, 2, ANY_APIC
    row "wake-each",       wake_each, sleep, 2, ANY_APIC
    row "physical",        physical, wait_halted, 2, ANY_APIC
    row "flat",            flat, join_flat, 2, XAPIC_MODE
    row "cluster",         cluster, join_cluster, 2, XAPIC_MODE
    row "x2cluster",       x2cluster, wait_halted, 2, X2APIC_MODE
    row "pv-send-ipi",     pv_send_ipi, wait_halted, 2, KVM_SEND_IPI
    row "hot-add",         hot_add, sleep, 1, ANY_APIC
    db 0

section .text

; ------------------------------------------------------------------------------------------------- sending, and handlers

; stamp place: stores the TSC there if latencies are wanted. Clobbers RAX, RDX.
%macro stamp 1
    cmp qword [is_measured], 0
    je %%end
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov %1, rax
%%end:
%endmacro

; note_latency place: counts the time since that stamp. Clobbers RAX, RDX.
%macro note_latency 1
    cmp qword [is_measured], 0
    je %%end
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, %1
    mov edx, HISTOGRAM - 1
    cmp rax, rdx
    cmova rax, rdx
    lea rdx, [histogram]
    lock inc dword [rdx + rax * 4]
%%end:
%endmacro

; post record, icr bits 31:0: sends to the CPU of that record. The second is an immediate or a register.
; Clobbers RAX, RCX, RDX. Unlike `send_ipi` it is inline and does not order earlier stores to memory.
%macro post 2
    mov edx, [%1 + percpu.id]
    post_edx %2
%endmacro

; The same to the destination in EDX, as the sender's mode writes it: 8 bits, or 32.
%macro post_edx 1
    cmp qword [use_x2apic], 0
    je %%xapic
    mov eax, %1
    mov ecx, X2APIC_MSR + APIC_ICR
    wrmsr
    jmp %%end
%%xapic:
    mov ecx, XAPIC_PAGE + (APIC_ICR << 4)
%%pending:
    test dword [rcx], ICR_PENDING
    jnz %%pending
    shl edx, 24
    mov [rcx + 0x10], edx
    mov dword [rcx], %1
%%end:
%endmacro

; Ends the interrupt in service. Clobbers RAX, RCX, RDX.
%macro eoi 0
    xor eax, eax
    cmp qword [use_x2apic], 0
    je %%xapic
    xor edx, edx
    mov ecx, X2APIC_MSR + APIC_EOI
    wrmsr
    jmp %%end
%%xapic:
    mov ecx, XAPIC_PAGE + (APIC_EOI << 4)
    mov [rcx], eax
%%end:
%endmacro

%macro enter_handler 0
    push rax
    push rcx
    push rdx
%endmacro
%macro leave_handler 0
    pop rdx
    pop rcx
    pop rax
    iretq
%endmacro

align 16
ping_handler:
    enter_handler
    note_latency gs:[sent_at_of]
    inc qword [received]
    eoi
    leave_handler

align 16
pong_handler:
    enter_handler
    note_latency gs:[sent_at_of]
    eoi
    push rbx
    mov rbx, gs:[peer_of]
    stamp [rbx + sent_at_of]
    post rbx, ICR_ASSERT | PING
    pop rbx
    leave_handler

align 16
token_handler:
    enter_handler
    note_latency gs:[sent_at_of]
    eoi
    push rbx
    mov rax, -1
    lock xadd [remaining], rax
    cmp rax, 0
    jle .spent
    mov rbx, gs:[peer_of]
    stamp [rbx + sent_at_of]
    post rbx, ICR_ASSERT | TOKEN
    jmp .done
.spent:
    lock dec qword [tokens]
    jnz .done
    mov rbx, [by_number]
    post rbx, ICR_ASSERT | FINISH
.done:
    pop rbx
    leave_handler

align 16
finish_handler:
    enter_handler
    mov qword [finished], 1
    eoi
    leave_handler

align 16
cast_handler:
    enter_handler
    note_latency [cast_at]
    lock inc qword [arrived]
    eoi
    leave_handler

align 16
mesh_handler:
    enter_handler
    note_latency gs:[sent_at_of]
    lock inc qword [arrived]
    eoi
    leave_handler

align 16
nmi_handler:
    enter_handler
    note_latency gs:[sent_at_of]
    inc qword [received]
    leave_handler

%assign stream_index 0
%rep STREAM_MOST
align 16
stream_handler_ %+ stream_index:
    enter_handler
    note_latency [stream_at + stream_index * 8]
    mov qword [stream_busy + stream_index * 8], 0
    eoi
    leave_handler
  %assign stream_index stream_index + 1
%endrep

; set_gate vector, label: that vector goes straight to the label. Clobbers RAX.
%macro set_gate 2
    lea rax, [%2]
    mov [idt + (%1) * 16], ax
    shr rax, 16
    mov [idt + (%1) * 16 + 6], ax
%endmacro

set_gates:
    set_gate VECTOR_NMI, nmi_handler
    set_gate PING, ping_handler
    set_gate PONG, pong_handler
    set_gate TOKEN, token_handler
    set_gate FINISH, finish_handler
    set_gate CAST, cast_handler
    set_gate MESH, mesh_handler
%assign stream_index 0
%rep STREAM_MOST
    set_gate STREAM + stream_index, stream_handler_ %+ stream_index
  %assign stream_index stream_index + 1
%endrep
    ret

; ----------------------------------------------------------------------------------------------------------------- frame

main:
    lea rbx, [rows]
.search:
    mov rsi, rbx
    cmp byte [rsi], 0
    je .unknown
    call find_word
    jc .found
    add rbx, ROW_BYTES
    jmp .search
.unknown:
    fail "ipi-bench", "the command line names no row"
    ret
.found:
    has_word "latency"
    jnc .not_measured
    mov qword [is_measured], 1
.not_measured:
    mov rax, [rbx + ROW_NAME_BYTES + 8]
    mov [ap_routine], rax
    call set_gates
    call boot_cpu_count
    mov [cpus], rax
    cmp rax, [rbx + ROW_NAME_BYTES + 16]
    jb .too_few
    has_word "x2apic-only"
    jnc .any_mode
    cmp qword [use_x2apic], 0
    je .no_x2apic
.any_mode:
    mov rax, [rbx + ROW_NAME_BYTES + 24]
    call has_apic
    jc .wrong_apic
    mov rax, gs:[percpu.self]
    mov [by_number], rax
    call wake_others
    jc .absent
    call clear_histogram
    mov qword [arrived], 0
    word_number "count=", 1
    mov r12, rax
    line "START"
    sti
    call read_tsc
    push rax
    call [rbx + ROW_NAME_BYTES]
    mov r8, rax
    call read_tsc
    cli
    pop rdx
    sub rax, rdx
    line "interrupts ", dec, r8, ", ticks ", dec, rax
    cmp qword [is_measured], 0
    jne report_latency
    ret
.too_few:
    fail "CPUs", "this row needs ", dec, [rbx + ROW_NAME_BYTES + 16], ", found ", dec, [cpus]
    ret
.no_x2apic:
    fail "APIC", "CPUID offers no x2APIC mode"
    ret
.wrong_apic:
    fail "APIC", "this row needs another mode, or KVM's hypercall"
    ret
.absent:
    fail "CPUs", "of ", dec, [cpus], " came ", dec, [cpu_count]
    ret

; RAX = ANY_APIC or what else is needed. Carry set: it is not there. Clobbers RAX, RCX, RDX.
has_apic:
    cmp eax, KVM_SEND_IPI
    je has_send_ipi
    cmp eax, ANY_APIC
    je .has                                     ; (carry is clear)
    sub eax, XAPIC_MODE
    cmp rax, [use_x2apic]
    je .has
    stc
.has:
    ret

; Starts all other CPUs and waits until they are in their loops. Carry set if not all came.
wake_others:
    mov r8, [cpus]
    dec r8
    jz .done                                    ; (carry is clear)
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    delay_us 10
    send_ipi 0, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
    wait_for ARRIVAL_US, qword [arrived], e, r8
    jc .done
    delay_us SETTLE_US
    clc
.done:
    ret

ap_main:
    note_latency [cast_at]
    mov rax, gs:[percpu.number]
    lea rcx, [by_number]
    mov rdx, gs:[percpu.self]
    mov [rcx + rax * 8], rdx
    lock inc qword [arrived]
    jmp [ap_routine]

sleep:                                          ; halted for good, until INIT
    ret

wait_halted:
    sti
.halt:
    hlt
    jmp .halt

second_spins:                                   ; the others have no part in it
    cmp qword gs:[percpu.number], 1
    jne wait_halted
wait_spinning:
    sti
.spin:
    pause
    jmp .spin

clear_histogram:
    cld
    xor eax, eax
    lea rdi, [histogram]
    mov ecx, HISTOGRAM
    rep stosd
    ret

; latency least, median, 90, 99 and 100 in a hundred, all in ticks.
report_latency:
    xor ecx, ecx                                ; RCX = samples
    xor edx, edx
    lea rsi, [histogram]
.sum:
    mov eax, [rsi + rdx * 4]
    add rcx, rax
    inc edx
    cmp edx, HISTOGRAM
    jb .sum
    test rcx, rcx
    jz .none
    say "latency samples ", dec, rcx
    mov r8d, 1
    call percentile
    say ", least ", dec, rax
    imul r8, rcx, 50
    call percentile_of_hundred
    say ", p50 ", dec, rax
    imul r8, rcx, 90
    call percentile_of_hundred
    say ", p90 ", dec, rax
    imul r8, rcx, 99
    call percentile_of_hundred
    say ", p99 ", dec, rax
    mov r8, rcx
    call percentile
    line ", most ", dec, rax
    has_word "distribution"
    jc report_distribution
    ret
.none:
    line "latency samples 0"
    ret

; RCX = samples: a line of pairs TICKS:COUNT, so many samples took so many ticks or less; at most DISTRIBUTION of them.
report_distribution:
    say "distribution"
    xor edx, edx                                ; RDX = ticks
    xor r8d, r8d                                ; R8 = samples up to them
    xor r9d, r9d                                ; R9 = those that must be reached for the next pair, less one
    lea rsi, [histogram]
.next:
    mov eax, [rsi + rdx * 4]
    add r8, rax
    cmp r8, r9
    jbe .same
    say " ", dec, rdx, ":", dec, r8
    mov rax, rcx
    shr rax, DISTRIBUTION_SHIFT
    lea r9, [r8 + rax]
    cmp r9, rcx
    jb .same
    lea r9, [rcx - 1]                           ; the last pair names all
.same:
    inc edx
    cmp r8, rcx
    jb .next
    call print_newline
    ret

; R8 = hundredfold rank. Returns RAX as `percentile`.
percentile_of_hundred:
    mov rax, r8
    add rax, 99
    xor edx, edx
    mov r8d, 100
    div r8
    mov r8, rax
; R8 = rank from 1. Returns RAX = smallest number of ticks that so many samples do not exceed. Clobbers RDX, RSI, R8.
percentile:
    lea rsi, [histogram]
    xor eax, eax
.next:
    mov edx, [rsi + rax * 4]
    sub r8, rdx
    jle .found
    inc eax
    jmp .next
.found:
    ret

; ------------------------------------------------------------------------------------------------------------------ rows

; The loop and nothing in it: what all other rows are to be seen against.
align 16
dry:
    mov rbx, gs:[percpu.self]
    mov rdi, r12
.loop:
    mov rsi, [received]
    stamp [rbx + sent_at_of]
    cmp [received], rsi
    jne .loop
    dec rdi
    jnz .loop
    mov rax, r12
    ret

; To itself, and back in the loop when the handler is done.
align 16
self:
    mov rbx, gs:[percpu.self]
    mov rdi, r12
.loop:
    mov rsi, [received]
    stamp [rbx + sent_at_of]
    post rbx, ICR_SELF | ICR_ASSERT | PING
.wait:
    cmp [received], rsi
    je .wait
    dec rdi
    jnz .loop
    mov rax, r12
    ret

; To the second CPU and back; both spin in between.
align 16
pingpong_spin:
    call pair_with_second
.loop:
    mov rsi, [received]
    stamp [rbx + sent_at_of]
    post rbx, ICR_ASSERT | PONG
.wait:
    pause
    cmp [received], rsi
    je .wait
    dec rdi
    jnz .loop
    lea rax, [r12 + r12]
    ret

; The same; both halt in between.
align 16
pingpong_halt:
    call pair_with_second
.loop:
    mov rsi, [received]
    stamp [rbx + sent_at_of]
    post rbx, ICR_ASSERT | PONG
.wait:
    cli
    cmp [received], rsi
    jne .answered
    sti                                         ; takes effect after HLT has begun
    hlt
    jmp .wait
.answered:
    sti
    dec rdi
    jnz .loop
    lea rax, [r12 + r12]
    ret

; RBX = record of the second CPU, whose peer is the boot CPU; RDI = count.
pair_with_second:
    mov rbx, [by_number + 8]
    mov rax, [by_number]
    mov [rbx + peer_of], rax
    mov rdi, r12
    ret

; To the second CPU without an answer: up to R13 vectors in flight, each of them once.
stream_1:
    mov r13d, 1
    jmp stream
stream_16:
    mov r13d, STREAM_MOST
align 16
stream:
    mov rbx, [by_number + 8]
    lea r9, [stream_busy]
    lea r10, [stream_at]
    mov r11, r12
    xor edi, edi                                ; RDI = which of the vectors
.loop:
    cmp qword [r9 + rdi * 8], 0
    je .free
    pause
    jmp .loop
.free:
    mov qword [r9 + rdi * 8], 1
    lea r8d, [rdi + (ICR_ASSERT | STREAM)]
    stamp [r10 + rdi * 8]
    post rbx, r8d
    inc edi
    cmp edi, r13d
    jb .next
    xor edi, edi
.next:
    dec r11
    jnz .loop
    mov edi, STREAM_MOST
.drain:
    pause
    cmp qword [r9 + rdi * 8 - 8], 0
    jne .drain
    dec edi
    jnz .drain
    mov rax, r12
    ret

; One token goes round through all CPUs, in order of arrival; everybody else is halted.
ring:
    mov r8, [cpus]
    lea rsi, [by_number]
    xor ecx, ecx
.link:
    mov rbx, [rsi + rcx * 8]
    inc ecx
    mov rax, rcx
    cmp rax, r8
    jb .not_last
    xor eax, eax
.not_last:
    mov rdx, [rsi + rax * 8]
    mov [rbx + peer_of], rdx
    cmp rcx, r8
    jb .link
    mov qword [tokens], 1
    mov [remaining], r12
    mov rbx, [by_number + 8]
    stamp [rbx + sent_at_of]
    post rbx, ICR_ASSERT | TOKEN
    call until_finished
    lea rax, [r12 + 1]
    ret

; CPU 2k and CPU 2k + 1 pass a token to and fro, all pairs at once; everybody is halted in between.
pairs:
    mov r8, [cpus]
    shr r8, 1
    mov [tokens], r8
    mov [remaining], r12
    lea rsi, [by_number]
    mov rcx, r8
.link:
    mov rax, [rsi]
    mov rdx, [rsi + 8]
    mov [rax + peer_of], rdx
    mov [rdx + peer_of], rax
    add rsi, 16
    dec rcx
    jnz .link
    lea rsi, [by_number]
    mov rdi, r8
.begin:
    mov rbx, [rsi + 8]
    stamp [rbx + sent_at_of]
    post rbx, ICR_ASSERT | TOKEN
    add rsi, 16
    dec rdi
    jnz .begin
    call until_finished
    lea rax, [r12 + r8]
    ret

until_finished:
    cli
    cmp qword [finished], 0
    jne .done
    sti
    hlt
    jmp until_finished
.done:
    sti
    ret

; Everybody sends to everybody: in step d to the CPU d places on, so that each gets one in each step. All spin until
; the step is over.
mesh:
    mov [remaining], r12                        ; rounds, for the others to read
    mov qword [started], 1
    xor r13d, r13d
    call mesh_body
    mov rax, [cpus]
    lea rdx, [rax - 1]
    imul rax, rdx
    imul rax, r12
    ret
mesh_other:
    sti
.wait:
    pause
    cmp qword [started], 0
    je .wait
    mov r12, [remaining]
    mov r13, gs:[percpu.number]
    call mesh_body
    jmp wait_halted

mesh_body:                                      ; R12 = rounds, R13 = own number
    mov r8, [cpus]
    lea r9, [by_number]
    xor r14d, r14d                              ; R14 = interrupts that all have got when the step is over
    mov r15, r12
.round:
    mov edi, 1
.step:
    lea rsi, [r13 + rdi]
    cmp rsi, r8
    jb .in_range
    sub rsi, r8
.in_range:
    mov rbx, [r9 + rsi * 8]
    stamp [rbx + sent_at_of]
    post rbx, ICR_ASSERT | MESH
    add r14, r8
.wait:
    cmp [arrived], r14
    jae .next
    pause
    jmp .wait
.next:
    inc rdi
    cmp rdi, r8
    jb .step
    dec r15
    jnz .round
    ret

; To all others by shorthand; they acknowledge in memory; the boot CPU spins.
align 16
broadcast:
    mov rbx, [by_number]
    mov r8, [cpus]
    dec r8
    mov rdi, r12
    xor r14d, r14d
.loop:
    add r14, r8
    stamp [cast_at]
    post rbx, ICR_ALL_BUT_SELF | ICR_ASSERT | CAST
.wait:
    pause
    cmp [arrived], r14
    jb .wait
    dec rdi
    jnz .loop
    mov rax, r14
    ret

; An NMI to the second CPU, which is halted and acknowledges in memory; the boot CPU spins.
align 16
nmi:
    call pair_with_second
.loop:
    mov rsi, [received]
    stamp [rbx + sent_at_of]
    post rbx, ICR_NMI | ICR_ASSERT
.wait:
    pause
    cmp [received], rsi
    je .wait
    dec rdi
    jnz .loop
    mov rax, r12
    ret

; INIT and STARTUP to all others; over when all are in 64-bit mode with their APIC on. The latency is that of each CPU.
wake_broadcast:
    mov rbx, [by_number]
    mov r8, [cpus]
    dec r8
    mov rdi, r12
.loop:
    mov qword [arrived], 0
    stamp [cast_at]
    post rbx, ICR_ALL_BUT_SELF | ICR_INIT | ICR_ASSERT
    post rbx, ICR_ALL_BUT_SELF | ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
.wait:
    pause
    cmp [arrived], r8
    jb .wait
    dec rdi
    jnz .loop
    jmp .count
.count:
    imul rax, r8, 2
    imul rax, r12
    ret

; The same one by one, each by its ID.
wake_each:
    mov r8, [cpus]
    mov rdi, r12
.loop:
    mov r13d, 1
.cpu:
    lea rax, [by_number]
    mov rbx, [rax + r13 * 8]
    mov qword [arrived], 0
    stamp [cast_at]
    post rbx, ICR_INIT | ICR_ASSERT
    post rbx, ICR_STARTUP | ICR_ASSERT | STARTUP_VECTOR
.wait:
    pause
    cmp qword [arrived], 0
    je .wait
    inc r13
    cmp r13, r8
    jb .cpu
    dec rdi
    jnz .loop
    dec r8
    jmp wake_broadcast.count

%include "ipi-bench/destinations.inc"
%include "ipi-bench/hot-add.inc"

guest_end
