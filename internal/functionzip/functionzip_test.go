package functionzip_test

import (
	"archive/zip"
	"bytes"
	"io"
	"testing"

	"github.com/spillway-go/spillway/internal/functionzip"
)

func TestOf(t *testing.T) {
	t.Parallel()
	program := bytes.Repeat([]byte("program"), 1000)
	packed, err := functionzip.Of(program)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 1 || archive.File[0].Name != "bootstrap" || archive.File[0].Mode() != 0o755 || len(packed) >= len(program) {
		t.Fatalf("%d bytes with %d files: %+v", len(packed), len(archive.File), archive.File)
	}
	f, err := archive.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, program) {
		t.Errorf("the program became %d bytes (%v)", len(got), err)
	}
}
