;; Frames whole lines, sixteen bytes at a time: what the text and the JSON framer do with most of what is printed. The
;; rest (a line that began in an earlier chunk or goes on in the next one, one that is too long, bytes that JSON needs
;; decoded) is left to them. `npm run compile` makes frame-wasm.ts of this.
(module
  ;; That of FrameMemory: input, prefix and output lie where the caller says.
  (import "monocore" "memory" (memory 0))
  ;; Where the output of the last call ends, and how many lines it has.
  (global $outEnd (export "outEnd") (mut i32) (i32.const 0))
  (global $lines (export "lines") (mut i32) (i32.const 0))

  ;; Frames the lines of [at, to) into the output from `out` on, and returns where the first one starts that it did not
  ;; frame; `to` when it framed all.
  ;;
  ;; It begins no line when the rest of the input, in JSON twice as much, would end behind `limit` without prefixes. It
  ;; reads up to 16 bytes behind `to` and `prefix + prefixBytes`, and writes up to 16 behind what it frames.
  (func (export "frame")
    (param $at i32) (param $to i32) (param $out i32) (param $limit i32)
    (param $prefix i32) (param $prefixBytes i32) (param $maxLineBytes i32)
    (param $json i32) ;; 0 or 1
    (result i32)
    (local $p i32)        ;; in the input
    (local $move i32)     ;; from a byte of the input to where it is put
    (local $stops i32)    ;; a bit for each of 16 bytes: whether it cannot just be copied
    (local $stop i32)     ;; the first of these bytes
    (local $count i32)
    (local $bytes v128)
    ;; Sixteen times the same byte. Made once: V8 would make them anew for each comparison.
    (local $newline v128) (local $control v128) (local $quote v128) (local $backslash v128)
    (local.set $newline (i8x16.splat (i32.const 0x0a)))
    (local.set $control (i8x16.splat (i32.const 0x20)))
    (local.set $quote (i8x16.splat (i32.const 0x22)))
    (local.set $backslash (i8x16.splat (i32.const 0x5c)))

    (block $done
      (loop $line
        (br_if $done (i32.ge_u (local.get $at) (local.get $to)))
        (br_if $done
          (i32.gt_u
            (i32.add
              (local.get $out)
              ;; A quote or a backslash becomes two bytes of JSON.
              (i32.shl (i32.sub (local.get $to) (local.get $at)) (local.get $json)))
            (local.get $limit)))

        ;; A line that begins with { may be a JSON object: the caller has to see it, and gives it as the first one.
        (br_if $done
          (i32.and
            (i32.and (local.get $json) (i32.ne (local.get $count) (i32.const 0)))
            (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x7b))))

        (local.set $p (i32.const 0))
        (loop $copyPrefix
          (v128.store
            (i32.add (local.get $out) (local.get $p))
            (v128.load (i32.add (local.get $prefix) (local.get $p))))
          (br_if $copyPrefix
            (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $prefixBytes))))

        (local.set $p (local.get $at))
        (local.set $move (i32.sub (i32.add (local.get $out) (local.get $prefixBytes)) (local.get $at)))
        (block $found
          (loop $goOn
            (block $stopped
              (loop $copy
                ;; Stored before it is known how many of them belong to the line: what follows is written over.
                (v128.store
                  (i32.add (local.get $p) (local.get $move))
                  (local.tee $bytes (v128.load (local.get $p))))
                (br_if $stopped
                  (local.tee $stops
                    (i8x16.bitmask
                      (if (result v128) (local.get $json)
                        (then
                          (v128.or
                            ;; Signed: below are control characters, \n and \r among them, and all from 0x80 on.
                            (i8x16.lt_s (local.get $bytes) (local.get $control))
                            (v128.or
                              (i8x16.eq (local.get $bytes) (local.get $quote))
                              (i8x16.eq (local.get $bytes) (local.get $backslash)))))
                        (else (i8x16.eq (local.get $bytes) (local.get $newline)))))))
                (local.set $p (i32.add (local.get $p) (i32.const 16)))
                (br_if $copy (i32.lt_u (local.get $p) (local.get $to))))
              (br $done))

            (local.set $p (i32.add (local.get $p) (i32.ctz (local.get $stops))))
            (br_if $done (i32.ge_u (local.get $p) (local.get $to)))
            (local.set $stop (i32.load8_u (local.get $p)))
            (br_if $found (i32.eq (local.get $stop) (i32.const 0x0a)))
            ;; Only in JSON: text stops at nothing else.
            (if (i32.eq (local.get $stop) (i32.const 0x0d))
              (then
                (local.set $p (i32.add (local.get $p) (i32.const 1)))
                (br_if $done (i32.ge_u (local.get $p) (local.get $to)))
                (br_if $found (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x0a)))
                (br $done)))
            (br_if $done
              (i32.and
                (i32.ne (local.get $stop) (i32.const 0x22))
                (i32.ne (local.get $stop) (i32.const 0x5c))))
            ;; A backslash, and behind it what stopped.
            (i32.store16
              (i32.add (local.get $p) (local.get $move))
              (i32.or (i32.shl (local.get $stop) (i32.const 8)) (i32.const 0x5c)))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (local.set $move (i32.add (local.get $move) (i32.const 1)))
            (br $goOn)))

        (br_if $done (i32.gt_u (i32.sub (local.get $p) (local.get $at)) (local.get $maxLineBytes)))
        (local.set $out (i32.add (local.get $p) (local.get $move)))
        ;; A branch, which is foreseen: with arithmetic each line would wait for the byte to be loaded.
        (if (i32.gt_u (local.get $p) (local.get $at))
          (then
            (if (i32.eq (i32.load8_u (i32.sub (local.get $p) (i32.const 1))) (i32.const 0x0d))
              (then (local.set $out (i32.sub (local.get $out) (i32.const 1)))))))
        (if (local.get $json)
          (then
            ;; "}\n and a byte that the next line is written over.
            (i32.store (local.get $out) (i32.const 0x0a7d22))
            (local.set $out (i32.add (local.get $out) (i32.const 3))))
          (else
            (i32.store8 (local.get $out) (i32.const 0x0a))
            (local.set $out (i32.add (local.get $out) (i32.const 1)))))
        (local.set $at (i32.add (local.get $p) (i32.const 1)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $line)))

    (global.set $outEnd (local.get $out))
    (global.set $lines (local.get $count))
    (local.get $at)))
