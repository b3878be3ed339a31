package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// maxLineBytes bounds a line, so that a file that is not NDJSON at all does not
// fill the memory.
const maxLineBytes = 1 << 20

// inputLine is one line that is not blank.
type inputLine struct {
	number int // from 1, blank lines counted
	text   []byte
	err    error // it could not be read
}

// readLines sends the lines of r and closes the channel at its end, or when ctx
// ends. A read error is the last line.
func readLines(ctx context.Context, r io.Reader, lines chan<- inputLine) {
	defer close(lines)
	br := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		text, err := readLine(br)
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // some editors begin files so
		}
		l := inputLine{number: n, text: bytes.TrimSpace(text)}
		atEnd := errors.Is(err, io.EOF)
		if !atEnd {
			l.err = err
		}
		if len(l.text) > 0 || l.err != nil {
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return
		}
	}
}

var errLongLine = fmt.Errorf("longer than %d bytes", maxLineBytes)

// readLine returns the next line. Of one that is too long it skips the rest.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := br.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLineBytes; !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && (err == nil || errors.Is(err, io.EOF)) {
			return nil, errLongLine
		}
		return line, err
	}
}
