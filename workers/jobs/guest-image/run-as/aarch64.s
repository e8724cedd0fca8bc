// run-as for aarch64: see x86_64.s, of which this is a copy in other words.
//
// System calls of Linux by syscall(2): the number in x8, arguments and the result from x0 on.
.globl _start
.set GROUPS, 1024

_start:
    ldr x19, [sp]                   // argc
    add x20, sp, #24                // argv + 2: of the program
    add x21, sp, x19, lsl #3
    add x21, x21, #16               // environment
    cmp x19, #3
    b.lt cannot_switch
    ldr x1, [sp, #16]               // argv[1]
    sub sp, sp, #(GROUPS * 4 + 16) & 0xff0
    sub sp, sp, #(GROUPS * 4 + 16) & 0xfff000
    mov x22, #0                     // numbers so far: the user, then groups
    mov x9, #10
number:
    mov x10, #0
    mov x11, x1
digit:
    ldrb w12, [x1]
    sub w12, w12, #'0'
    cmp w12, #9
    b.hi end_of_number
    madd x10, x10, x9, x12
    lsr x13, x10, #32
    cbnz x13, cannot_switch
    add x1, x1, #1
    b digit
end_of_number:
    cmp x1, x11
    b.eq cannot_switch
    cmp x22, #GROUPS
    b.hi cannot_switch
    str w10, [sp, x22, lsl #2]
    add x22, x22, #1
    ldrb w12, [x1], #1
    cmp w12, #':'
    b.eq number
    cbnz w12, cannot_switch
    cmp x22, #2
    b.lt cannot_switch

    sub x0, x22, #1
    add x1, sp, #4
    mov x8, #159                    // setgroups
    svc #0
    cbnz x0, cannot_switch
    ldr w0, [sp, #4]
    mov x8, #144                    // setgid
    svc #0
    cbnz x0, cannot_switch
    ldr w0, [sp]
    mov x8, #146                    // setuid
    svc #0
    cbnz x0, cannot_switch

    ldr x0, [x20]
    mov x1, x20
    mov x2, x21
    mov x8, #221                    // execve
    svc #0
    mov w19, #127
    cmn x0, #2                      // ENOENT
    b.eq failed
    b not_executed

cannot_switch:
    adr x1, switch_text
    mov x2, #switch_end - switch_text
    mov w19, #126
    b say
not_executed:
    mov w19, #126
failed:
    adr x1, execute_text
    mov x2, #execute_end - execute_text
say:
    mov x0, #2
    mov x8, #64                     // write
    svc #0
    mov w0, w19
    mov x8, #93                     // exit
    svc #0

switch_text:
    .ascii "monocore: the user of the command cannot be set\n"
switch_end:
execute_text:
    .ascii "monocore: the command cannot be executed by its user\n"
execute_end:
