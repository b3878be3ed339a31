package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// outsource stores the data of a large item as an object and returns its key;
// empty if the item holds its data itself.
func (a *Archive) outsource(ctx context.Context, it *Item) (key string, err error) {
	switch {
	case len(it.Data) <= a.opts.InlineBytes:
		return "", nil
	case a.objects == nil && len(it.Data) <= maxData:
		return "", nil
	case a.objects == nil:
		return "", fmt.Errorf("%w: %d bytes", ErrTooLarge, len(it.Data))
	}
	// Escaped, so that no group or id can reach outside of its place.
	key = a.opts.Prefix + url.PathEscape(it.Group) + "/" + url.PathEscape(it.ID) + "/" + rand.Text()
	_, err = a.objects.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &a.bucket, Key: &key, Body: bytes.NewReader(it.Data), ContentLength: aws.Int64(int64(len(it.Data))),
		ContentType: aws.String("application/octet-stream"),
	})
	return key, err
}

// fetch reads an object.
func (a *Archive) fetch(ctx context.Context, key string) ([]byte, error) {
	if a.objects == nil {
		return nil, errors.New("its data is in a bucket, and this archive has none")
	}
	out, err := a.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &a.bucket, Key: &key},
		func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true }) // emulators have no checksums
	if _, gone := errors.AsType[*types.NoSuchKey](err); gone {
		return nil, fmt.Errorf("%w: %w: its data has gone: %w", ErrNotFound, ErrNoData, err)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "AccessDenied" {
		return nil, fmt.Errorf("%w: %w", ErrNoData, err)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(out.Body)
	return data, errors.Join(err, out.Body.Close())
}

// forget deletes an object that no item points to. If that fails, the bucket
// expires it.
func (a *Archive) forget(ctx context.Context, key string) {
	if key != "" && a.objects != nil {
		_, _ = a.objects.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.bucket, Key: &key})
	}
}
