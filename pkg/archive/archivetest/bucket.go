package archivetest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Bucket is an S3 bucket in memory. Whatever a bucket is called, it is this
// one. Safe for concurrent use.
type Bucket struct {
	faults

	mu      sync.Mutex
	objects map[string][]byte
}

// NewBucket returns an empty bucket.
func NewBucket() *Bucket { return &Bucket{objects: map[string][]byte{}} }

// Keys are the keys of all objects, in order.
func (b *Bucket) Keys() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.objects))
}

// Object returns an object's bytes; nil if there is none.
func (b *Bucket) Object(key string) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.objects[key])
}

// PutObject stores an object; with IfNoneMatch "*" only if there is none.
func (b *Bucket) PutObject(ctx context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	data := []byte{}
	if in.Body != nil {
		var err error
		if data, err = io.ReadAll(in.Body); err != nil {
			return nil, err
		}
	}
	key := aws.ToString(in.Key)
	fault, err := b.enter(ctx, "PutObject", Key{SK: key})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.objects[key]; there && aws.ToString(in.IfNoneMatch) == "*" {
		return nil, &smithy.GenericAPIError{Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold", Fault: smithy.FaultClient}
	}
	b.objects[key] = data
	return &s3.PutObjectOutput{}, fault.Err
}

// GetObject reads an object.
func (b *Bucket) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	key := aws.ToString(in.Key)
	fault, err := b.enter(ctx, "GetObject", Key{SK: key})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	data, there := b.objects[key]
	if !there || fault.Stale {
		return nil, &types.NoSuchKey{Message: aws.String("The specified key does not exist.")}
	}
	return &s3.GetObjectOutput{
		Body: io.NopCloser(bytes.NewReader(slices.Clone(data))), ContentLength: aws.Int64(int64(len(data))),
	}, fault.Err
}

// DeleteObject deletes an object; one that is absent is no error.
func (b *Bucket) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput, _ ...func(*s3.Options)) (*s3.DeleteObjectOutput, error) {
	key := aws.ToString(in.Key)
	fault, err := b.enter(ctx, "DeleteObject", Key{SK: key})
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	return &s3.DeleteObjectOutput{}, fault.Err
}
