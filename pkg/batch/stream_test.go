package batch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// A queue is where isolated records go.
var _ batch.Isolator = (*workqueue.Queue)(nil)

// isolator keeps records, as far as err lets it.
type isolator struct {
	err func(ctx context.Context, rec *event.StreamRecord) error

	mu    sync.Mutex
	kept  []string // sequence numbers, and the codes of their causes
	after []time.Duration
	start time.Time
}

func (k *isolator) Isolate(ctx context.Context, rec *event.StreamRecord, cause error) error {
	if k.err != nil {
		if err := k.err(ctx, rec); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, rec.SequenceNumber+" "+task.FailureOf(cause).Code)
	k.after = append(k.after, time.Since(k.start))
	return nil
}

// streamBatch invokes a Kinesis handler with records of these keys, in a bubble
// and with 20 s of time, and returns the answer and what it took.
func streamBatch(t *testing.T, keys string, opts *batch.Options, act func(ctx context.Context, i int) error) (string, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), allTime)
	defer cancel()
	return streamBatchIn(ctx, t, keys, opts, act)
}

func streamBatchIn(ctx context.Context, t *testing.T, keys string, opts *batch.Options, act func(ctx context.Context, i int) error) (string, time.Duration) {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = quiet
	}
	start := time.Now()
	if k, ok := opts.Isolate.(*isolator); ok {
		k.start = start
	}
	answer, err := kinesis.handler(act, opts).Invoke(ctx, kinesis.payload(strings.Split(keys, "")))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer), time.Since(start)
}

const nothingFailed = `{"batchItemFailures":[]}`

func naming(i int) string {
	return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":"m-%d"}]}`, i)
}

// Two records of one sequence number are not seen in practice. If they were,
// Lambda might go on behind the second.
func TestRepeatedSequenceNumbersSkipNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sequence string
		fails    int
		want     string // the named one; empty for an error
	}{
		{"abc", 1, "b"},
		{"aab", 1, "a"}, // record 0 is only done again
		{"aab", 2, "b"},
		{"abb", 1, "a"},
		{"abcb", 1, "a"},
		{"abcb", 3, "b"},
		{"aba", 0, ""},
		{"aa", 0, ""},
		{"abab", 1, ""},
		{"cabab", 2, "c"},
		{"-b", 0, ""},
		{"-b", 1, "b"},
		{"a-", 1, ""},
		{"-bb", 1, ""},
		{"--b", 2, "b"},
	} {
		var records []string
		for i, s := range strings.Split(tt.sequence, "") {
			records = append(records, fmt.Sprintf(`{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":%q,"partitionKey":"k%d"}}`, strings.Trim(s, "-"), i))
		}
		for concurrency := 1; concurrency <= 3; concurrency++ {
			i := 0
			var mu sync.Mutex
			handler := batch.Kinesis(func(_ context.Context, rec *event.KinesisRecord) error {
				mu.Lock()
				defer mu.Unlock()
				i++
				if rec.PartitionKey == fmt.Sprint("k", tt.fails) {
					return errors.New("no luck")
				}
				return nil
			}, &batch.Options{Logger: quiet, Concurrency: concurrency})
			answer, err := handler.Invoke(t.Context(), []byte(`{"Records":[`+strings.Join(records, ",")+`]}`))
			want := fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, tt.want)
			if tt.want == "" {
				want = ""
			}
			if string(answer) != want || (tt.want == "") != errors.Is(err, batch.ErrNoID) {
				t.Errorf("%s, %d fails: %s, %v; want %s", tt.sequence, tt.fails, answer, err, want)
			}
		}
	}
}

// What cannot be isolated for certain stays in the stream.
func TestIsolationThatFails(t *testing.T) {
	t.Parallel()
	for name, isolate := range map[string]func(context.Context, *event.StreamRecord) error{
		"an error": func(context.Context, *event.StreamRecord) error { return errors.New("queue down") },
		"a panic":  func(context.Context, *event.StreamRecord) error { panic("nil map") },
		"no answer": func(ctx context.Context, _ *event.StreamRecord) error {
			<-ctx.Done()
			return ctx.Err()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			defer time.Sleep(3 * allTime)
			log, text := newLog()
			var begun sync.Map
			answer, took := streamBatch(t, "abab", &batch.Options{Concurrency: 2, Logger: log, Isolate: &isolator{err: isolate}}, func(ctx context.Context, i int) error {
				begun.Store(i, true)
				if i == 1 {
					return task.Permanent(errors.New("never"))
				}
				return sleep(ctx, aMoment)
			})
			if answer != naming(1) || took > allTime-freeTime/2 {
				t.Errorf("%s: %s after %s", name, answer, took)
			}
			if _, ok := begun.Load(3); ok {
				t.Errorf("%s: the key went on", name)
			}
			if !strings.Contains(text.String(), "sequence_number=m-1") || strings.Contains(text.String(), "isolated") {
				t.Errorf("%s: log:\n%s", name, text)
			}
			if name == "an error" && !strings.Contains(text.String(), `error="never\nqueue down"`) {
				t.Errorf("not both errors in the log:\n%s", text)
			}
		})
	}
}

// Isolation may use the time that is kept free of handlers.
func TestIsolationInTheMargin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &isolator{err: func(ctx context.Context, _ *event.StreamRecord) error { return ctx.Err() }}
		answer, _ := streamBatch(t, "ab", &batch.Options{Isolate: k}, func(ctx context.Context, i int) error {
			<-ctx.Done()
			return task.Permanent(errors.New("never"))
		})
		if answer != naming(1) || len(k.kept) != 1 || k.after[0] != allTime-freeTime {
			t.Errorf("%s, isolated %v after %v", answer, k.kept, k.after)
		}
	})
}

// Nothing is isolated because there was too little time for it.
func TestTimeRunningOutNeverIsolates(t *testing.T) {
	t.Parallel()
	free := allTime - freeTime
	tests := map[string]struct {
		act   func(ctx context.Context, try int) error
		tries int
		took  time.Duration
	}{
		"asks for more time than is left": {
			func(context.Context, int) error { return task.RetryAfter(free, errors.New("busy")) }, 1, 0,
		},
		"asks for more than any clock has": {
			func(context.Context, int) error { return task.RetryAfter(1<<63-1, errors.New("busy")) }, 1, 0,
		},
		"a try like the last would not fit": {
			func(ctx context.Context, _ int) error {
				return errors.Join(sleep(ctx, 10*time.Second), errors.New("x"))
			}, 1, 10 * time.Second,
		},
		"the last try is cut short": {
			func(ctx context.Context, try int) error {
				if try < tries {
					return task.RetryAfter(time.Second, errors.New("x"))
				}
				return sleep(ctx, allTime)
			}, tries, free,
		},
		"the last try fails in the last moment": {
			func(ctx context.Context, try int) error {
				if try == tries {
					return errors.Join(sleep(ctx, free-2*time.Second-time.Millisecond), errors.New("i/o timeout"))
				}
				return task.RetryAfter(time.Second, errors.New("x"))
			}, tries, free - time.Millisecond,
		},
		"permanent, it says, but the time was over": {
			func(ctx context.Context, _ int) error {
				return task.Permanent(fmt.Errorf("query: %w", sleep(ctx, allTime)))
			}, 1, free,
		},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			k := &isolator{}
			calls := 0
			answer, took := streamBatch(t, "a", &batch.Options{Isolate: k}, func(ctx context.Context, _ int) error {
				calls++
				return tt.act(ctx, calls)
			})
			if answer != naming(0) || len(k.kept) != 0 {
				t.Errorf("%s: %s, isolated %v", name, answer, k.kept)
			}
			if calls != tt.tries || took != tt.took {
				t.Errorf("%s: %d tries in %s, want %d in %s", name, calls, took, tt.tries, tt.took)
			}
		})
	}
}

func TestCanceledBatchIsolatesNothing(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"pause", "try"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			k := &isolator{}
			time.AfterFunc(5*time.Second, cancel)
			answer, took := streamBatchIn(ctx, t, "aab", &batch.Options{Isolate: k, IsolateAfter: 2}, func(ctx context.Context, _ int) error {
				if during == "try" {
					return sleep(ctx, time.Minute)
				}
				return task.RetryAfter(time.Minute, errors.New("busy"))
			})
			if answer != naming(0) || len(k.kept) != 0 || took != 5*time.Second {
				t.Errorf("in a %s: %s after %s, isolated %v", during, answer, took, k.kept)
			}
		})
	}
}

// Timeout bounds every try, and a record that is always too slow is isolated.
func TestTimeoutOfEachTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &isolator{}
		calls := 0
		answer, took := streamBatch(t, "a", &batch.Options{Isolate: k, Timeout: time.Second}, func(ctx context.Context, _ int) error {
			calls++
			return sleep(ctx, time.Minute)
		})
		if answer != nothingFailed || len(k.kept) != 1 || k.kept[0] != "m-0 timeout" || calls != tries {
			t.Errorf("%s after %s and %d tries, isolated %v", answer, took, calls, k.kept)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		answer, took := streamBatch(t, "ab", &batch.Options{Timeout: time.Second}, func(ctx context.Context, i int) error {
			return sleep(ctx, time.Duration(i)*time.Minute)
		})
		if answer != naming(1) || took != time.Second {
			t.Errorf("without isolation: %s after %s", answer, took)
		}
	})
}

// Pauses are full jitter up to 100 ms, doubling up to 2 s.
func TestPausesBetweenTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 9
		var longest [n]time.Duration
		for range 60 {
			var last time.Time
			calls := 0
			answer, _ := streamBatch(t, "a", &batch.Options{Isolate: &isolator{}, IsolateAfter: n}, func(context.Context, int) error {
				if now := time.Now(); calls > 0 {
					longest[calls] = max(longest[calls], now.Sub(last))
				}
				last = time.Now()
				calls++
				return errors.New("no luck")
			})
			if answer != nothingFailed && answer != naming(0) || calls > n {
				t.Fatalf("%s after %d tries", answer, calls)
			}
		}
		for k, most := range longest[1:] {
			if bound := min(100*time.Millisecond<<k, 2*time.Second); most > bound || most < bound/2 {
				t.Errorf("pause %d is up to %s, want up to %s", k+1, most, bound)
			}
		}
	})
}

// A record that waits for its next try holds up its key, not the others.
func TestOtherKeysGoOnDuringAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &isolator{}
		var order []string
		var mu sync.Mutex
		answer, took := streamBatch(t, "abbabb", &batch.Options{Concurrency: 2, Isolate: k}, func(ctx context.Context, i int) error {
			mu.Lock()
			order = append(order, fmt.Sprint(i))
			mu.Unlock()
			if i == 0 {
				return task.RetryAfter(time.Second, errors.New("busy"))
			}
			return sleep(ctx, aMoment)
		})
		// The first two begin at once.
		if got := strings.Join(order[2:], " "); answer != nothingFailed || got != "2 4 5 0 0 3" || took != 2*time.Second+aMoment {
			t.Errorf("%s after %s, order %s", answer, took, got)
		}
		if len(k.kept) != 1 || k.kept[0] != "m-0 handler_error" {
			t.Errorf("isolated %v", k.kept)
		}
	})
}

// The guard counts how long tries take, not the pauses between them.
func TestPausesDoNotCountForTheGuard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		guard := &batch.Guard{}
		answer, took := streamBatch(t, "abcd", &batch.Options{Isolate: &isolator{}, Guard: guard}, func(ctx context.Context, i int) error {
			if i == 0 {
				return errors.Join(sleep(ctx, time.Second), task.RetryAfter(6*time.Second, errors.New("busy")))
			}
			return sleep(ctx, aMoment)
		})
		if answer != nothingFailed || took != 15*time.Second+3*aMoment || guard.Longest() > time.Second {
			t.Errorf("%s after %s, expected %s", answer, took, guard.Longest())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		guard := &batch.Guard{}
		calls := 0
		streamBatch(t, "a", &batch.Options{Isolate: &isolator{}, Guard: guard}, func(ctx context.Context, _ int) error {
			if calls++; calls == 1 {
				return errors.Join(sleep(ctx, time.Second), errors.New("no luck"))
			}
			return nil
		})
		if longest := guard.Longest(); longest < time.Second*7/8 || longest > time.Second {
			t.Errorf("expected %s after tries of 1 s and 0 s", longest)
		}
	})
}

func TestIsolateAfterOne(t *testing.T) {
	t.Parallel()
	k := &isolator{}
	calls := 0
	answer, _ := streamBatch(t, "aaa", &batch.Options{Isolate: k, IsolateAfter: 1}, func(_ context.Context, i int) error {
		calls++
		if i == 1 {
			panic("boom")
		}
		return nil
	})
	if answer != nothingFailed || calls != 3 || len(k.kept) != 1 || k.kept[0] != "m-1 panic" {
		t.Errorf("%s, %d calls, isolated %v", answer, calls, k.kept)
	}
}

// The earliest failure counts, whichever comes last, and what was waiting for
// another record then does not begin.
func TestEarliestFailureStopsTheStream(t *testing.T) {
	t.Parallel()
	for _, last := range []error{nil, errors.New("no luck")} {
		synctest.Test(t, func(t *testing.T) {
			answer, took := streamBatch(t, "abbcd", &batch.Options{Concurrency: 3}, func(ctx context.Context, i int) error {
				switch i {
				case 0: // fails first
					return errors.Join(sleep(ctx, aMoment), errors.New("no luck"))
				case 1:
					return sleep(ctx, 3*aMoment)
				case 3:
					return errors.Join(sleep(ctx, 2*aMoment), last)
				}
				t.Errorf("%d begun", i)
				return nil
			})
			if answer != naming(0) || took != 3*aMoment {
				t.Errorf("%s after %s", answer, took)
			}
		})
	}
}

// A handler that ends its goroutine ends nothing else.
func TestGoexitInAStream(t *testing.T) {
	t.Parallel()
	k := &isolator{}
	answer, _ := streamBatch(t, "abc", &batch.Options{Isolate: k, Concurrency: 2}, func(_ context.Context, i int) error {
		if i == 1 {
			runtime.Goexit()
		}
		return nil
	})
	if answer != naming(1) || len(k.kept) != 0 {
		t.Errorf("%s, isolated %v", answer, k.kept)
	}
}

func TestStreamLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		streamBatch(t, "abcde", &batch.Options{Logger: log, Concurrency: 3}, func(ctx context.Context, i int) error {
			if i == 1 {
				return task.Code("unlucky", errors.Join(sleep(ctx, aMoment), errors.New("no luck")))
			}
			return sleep(ctx, 2*aMoment)
		})
		for _, want := range []string{
			`level=WARN msg="record failed" sequence_number=m-1 code=unlucky error="no luck"`,
			`level=INFO msg="the stream goes on from this record" sequence_number=m-1 not_begun=2 done_again=1`,
		} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		log, text = newLog()
		streamBatch(t, "a", &batch.Options{Logger: log, Isolate: &isolator{}}, func(context.Context, int) error {
			return task.Code("unlucky", errors.New("no luck"))
		})
		if want := `level=WARN msg="record isolated" sequence_number=m-0 attempts=3 code=unlucky error="no luck"`; !strings.Contains(text.String(), want) || strings.Count(text.String(), "\n") != 1 {
			t.Errorf("want only %s in\n%s", want, text)
		}
		log, text = newLog()
		streamBatch(t, "a", &batch.Options{Logger: log}, func(context.Context, int) error { return nil })
		if text.String() != "" {
			t.Errorf("a batch without failures logs\n%s", text)
		}
	})
}

func TestStreamsThroughLambda(t *testing.T) {
	t.Parallel()
	for _, s := range []source{kinesis, dynamodb} {
		handler := lambda.NewHandler(s.handler(func(_ context.Context, i int) error {
			if i == 1 {
				return errors.New("no luck")
			}
			return nil
		}, &batch.Options{Logger: quiet}))
		if answer, err := handler.Invoke(t.Context(), s.payload([]string{"a", "b", "c"})); err != nil || string(answer) != naming(1) {
			t.Errorf("%s: %s, %v", s.name, answer, err)
		}
		handler = s.handler(ignore, nil)
		if answer, err := handler.Invoke(t.Context(), s.payload(nil)); err != nil || string(answer) != nothingFailed {
			t.Errorf("%s: an empty batch: %s, %v", s.name, answer, err)
		}
		if answer, err := handler.Invoke(t.Context(), standard.payload([]string{"a"})); answer != nil || !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%s: messages of a queue: %s, %v", s.name, answer, err)
		}
	}
}

// Larger batches of any shape keep the same rules.
func TestAnyBatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, anyBatch) })
}

func anyBatch(t *rapid.T) {
	n := rapid.IntRange(1, 20).Draw(t, "records")
	keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), n, n).Draw(t, "keys")
	// Mostly quick ones, so that some batches get to their end.
	kinds := []outcome{succeeds, succeeds, succeeds, succeeds, succeeds, fails, permanent, retryAfter, panics, slow, deaf}
	plan := rapid.SliceOfN(rapid.SampledFrom(kinds), n, n).Draw(t, "plan")
	p := &play{
		source: rapid.SampledFrom(sources).Draw(t, "source"), plan: plan, keys: keys,
		concurrency: rapid.IntRange(1, 6).Draw(t, "concurrency"), hooks: rapid.Bool().Draw(t, "hooks"),
	}
	problems := p.run(context.Background())
	time.Sleep(3 * allTime)
	if len(problems) > 0 {
		t.Fatalf("%v %v: %v", keys, plan, problems)
	}
}
