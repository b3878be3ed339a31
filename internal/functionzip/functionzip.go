// Package functionzip packs a program as Lambda takes it.
package functionzip

import (
	"archive/zip"
	"bytes"
)

// Of returns a zip with a program as bootstrap, which a function of an OS-only
// runtime, such as provided.al2023, runs.
func Of(program []byte) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	f, err := w.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}
