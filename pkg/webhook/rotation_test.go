package webhook

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// verifier is a receiver that knows one secret.
type verifier struct {
	mu       sync.Mutex
	knows    *standardwebhooks.Webhook
	verified int
	refused  []string
	double   int // of the verified, those with two signatures
}

func (v *verifier) learn(t *testing.T, key string) {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.knows = wh
}

// RoundTrip takes a while on the way, as a network does.
func (v *verifier) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
	v.mu.Lock()
	defer v.mu.Unlock()
	status := http.StatusNoContent
	if err := v.knows.VerifyIgnoringTimestamp(body, r.Header); err != nil {
		status = http.StatusUnauthorized
		v.refused = append(v.refused, fmt.Sprintf("%s at %s: %v", r.Header.Get(HeaderID), time.Now().Format(time.TimeOnly), err))
	} else if v.verified++; strings.Contains(r.Header.Get(HeaderSignature), " ") {
		v.double++
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}}, nil
}

// A rotation as docs/security.md has it, under load: twenty environments, each
// with a cache of its own, some of which sleep through parts of it; a receiver
// that knows first only the old and then only the new secret.
func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &fakeSecrets{delay: 50 * time.Millisecond}
		api.set(document(previousKey, ""), nil)
		receiver := &verifier{}
		receiver.learn(t, previousKey)
		stop := make(chan struct{})
		var environments sync.WaitGroup
		for range 20 {
			environments.Go(func() {
				d := New(NewSecretsManager(api, "hooks", nil), &Options{Transport: receiver, Logger: (&logs{}).logger()})
				for {
					var batch sync.WaitGroup
					for range 2 {
						batch.Go(func() {
							if _, err := d.Deliver(inTask(t.Context(), 1), input("https://h.example")); err != nil {
								t.Error(err)
							}
						})
					}
					batch.Wait()
					pause := time.Duration(rand.IntN(10)) * time.Second
					if rand.IntN(20) == 0 {
						pause = time.Duration(rand.IntN(40)) * time.Minute
					}
					select {
					case <-stop:
						return
					case <-time.After(pause):
					}
				}
			})
		}
		wait := 5*time.Minute + 10*time.Second // the TTL, and a delivery
		time.Sleep(time.Hour)
		api.set(document(currentKey, previousKey), nil)
		time.Sleep(wait)
		receiver.learn(t, currentKey)
		api.set(document(currentKey, ""), nil)
		time.Sleep(time.Hour)
		close(stop)
		environments.Wait()
		if len(receiver.refused) > 0 || receiver.verified < 1000 || receiver.double == 0 || receiver.double == receiver.verified {
			t.Errorf("%d deliveries verified, %d of them with two signatures; refused: %v", receiver.verified, receiver.double, receiver.refused)
		}
	})
}
