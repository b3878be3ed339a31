package archive_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
)

// What cannot be worked on now is kept once, found by its group, worked on
// later, and marked.
func Example() {
	ctx := context.Background()
	// On AWS: archive.New(dynamodb.NewFromConfig(cfg), "control", s3.NewFromConfig(cfg), "archive", nil)
	kept := archive.New(archivetest.NewTable(), "control", archivetest.NewBucket(), "archive", nil)

	order := archive.Item{
		Group: "orders", ID: "o-17", Meta: map[string]string{"state": "waits", "error": "no such customer"},
		Data: []byte(`{"customer":"ada"}`), ExpiresAt: time.Now().AddDate(0, 0, 30),
	}
	for range 2 {
		stored, err := kept.Put(ctx, order)
		fmt.Println("stored:", stored, err)
	}

	items, _, _ := kept.List(ctx, "orders", "", 100)
	for _, it := range items {
		fmt.Println(it.ID, it.Meta["error"], it.Size, "bytes")
		full, _ := kept.Get(ctx, "orders", it.ID)
		fmt.Println(string(full.Data))
		_ = kept.SetMeta(ctx, "orders", it.ID, map[string]string{"state": "done", "error": ""})
	}
	done, _ := kept.Get(ctx, "orders", "o-17")
	fmt.Println(done.Meta)

	_ = kept.Delete(ctx, "orders", "o-17")
	_, err := kept.Get(ctx, "orders", "o-17")
	fmt.Println(errors.Is(err, archive.ErrNotFound))
	// Output:
	// stored: true <nil>
	// stored: false <nil>
	// o-17 no such customer 18 bytes
	// {"customer":"ada"}
	// map[state:done]
	// true
}

// Many items take one call for 25 of them; large ones go to the bucket.
func ExampleArchive_PutAll() {
	ctx := context.Background()
	kept := archive.New(archivetest.NewTable(), "control", archivetest.NewBucket(), "archive", nil)
	items := []archive.Item{
		{Group: "reports", ID: "small", Data: []byte("twelve pages")},
		{Group: "reports", ID: "large", Data: []byte(strings.Repeat("x", 1_000_000))},
	}
	fmt.Println(kept.PutAll(ctx, items))
	large, err := kept.Get(ctx, "reports", "large")
	fmt.Println(len(large.Data), err)
	// Output:
	// [<nil> <nil>]
	// 1000000 <nil>
}
