package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// Keys as receivers hold them.
var (
	currentKey  = secretPrefix + base64.StdEncoding.EncodeToString([]byte("current-key-of-24-bytes!"))
	previousKey = secretPrefix + base64.StdEncoding.EncodeToString([]byte("previous-key-of-32-bytes-exactly"))
)

func mustSecret(tb testing.TB, s string) Secret {
	tb.Helper()
	secret, err := ParseSecret(s)
	if err != nil {
		tb.Fatal(err)
	}
	return secret
}

var created = time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC)

// inTask is the context of a handler in the given attempt.
func inTask(ctx context.Context, attempt int) context.Context {
	return task.NewContext(ctx, &task.Execution{
		ID: "01J8ZQ4T6Y0V5N3C9K2M7R1XAB", Type: Type, Run: 1, Attempt: attempt, MaxAttempts: 5, CreatedAt: created,
	})
}

// logs is a logger's output, safe to read while others write.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// deliverer signs with currentKey and reaches local servers.
func deliverer(tb testing.TB, change func(*Options)) (*Deliverer, *logs) {
	tb.Helper()
	l := &logs{}
	opts := &Options{Timeout: 5 * time.Second, Logger: l.logger()}
	opts.AllowPrivate = true
	if change != nil {
		change(opts)
	}
	d := New(StaticSecrets{mustSecret(tb, currentKey)}, opts)
	if t, ok := d.opts.Transport.(*http.Transport); ok {
		tb.Cleanup(t.CloseIdleConnections)
	}
	return d, l
}

func input(url string) Input {
	return Input{URL: url, Event: "invoice.paid", Payload: json.RawMessage(`{"id":"in_1"}`)}
}

// received is a request as a receiver saw it.
type received struct {
	header http.Header
	body   []byte
	proto  int
}

// receiver is a server that records what it gets and answers with answer.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	got   []received
	conns int
}

func newReceiver(tb testing.TB, answer http.HandlerFunc) *receiver {
	tb.Helper()
	r := unstartedReceiver(tb, answer)
	r.Start()
	return r
}

func unstartedReceiver(tb testing.TB, answer http.HandlerFunc) *receiver {
	tb.Helper()
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got = append(r.got, received{req.Header.Clone(), body, req.ProtoMajor})
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
		}
	}))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			r.mu.Lock()
			r.conns++
			r.mu.Unlock()
		}
	}
	tb.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func (r *receiver) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns
}

// fakeDNS is a name server that answers every A question with the next of its
// addresses, the last one for ever; with all if it has some. AAAA questions it
// answers with six.
type fakeDNS struct {
	mu    sync.Mutex
	addrs []netip.Addr
	all   []netip.Addr
	six   []netip.Addr
	asked int
}

func (f *fakeDNS) next() []netip.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) > 0 || len(f.addrs) == 0 {
		return f.all
	}
	a := f.addrs[min(f.asked, len(f.addrs)-1)]
	f.asked++
	return []netip.Addr{a}
}

// resolver speaks to f over a pipe, in the form that DNS has on TCP (RFC 1035
// section 4.2.2: messages with their length in two bytes in front).
func (f *fakeDNS) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go f.serve(server)
		return client, nil
	}}
}

func (f *fakeDNS) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil || len(query) < 12 {
			return
		}
		end := 12 // after the header comes the question: labels, type, class
		for query[end] != 0 {
			end += int(query[end]) + 1
		}
		end += 5
		question := query[12:end]
		answer := append([]byte{query[0], query[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
		kind := binary.BigEndian.Uint16(question[len(question)-4:])
		var addrs []netip.Addr
		switch kind {
		case 1: // A
			addrs = f.next()
		case 28: // AAAA
			addrs = f.six
		}
		for _, addr := range addrs {
			answer[7]++
			raw := addr.AsSlice()
			answer = append(answer, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
			answer = append(answer, raw...)
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// viaName is server's URL with another host name.
func viaName(server *httptest.Server, host string) string {
	scheme, rest, _ := strings.Cut(server.URL, "://")
	_, port, _ := net.SplitHostPort(rest)
	return scheme + "://" + net.JoinHostPort(host, port)
}
