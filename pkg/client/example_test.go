package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// exampleAPI stands for a deployed stack.
func exampleAPI() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := "queued"
		switch {
		case r.URL.Path == "/tasks/lost":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"status":404,"code":"not_found","detail":"no task has this id"}`)
			return
		case r.Method == http.MethodGet && r.URL.Path == "/tasks":
			_, _ = io.WriteString(w, `{"tasks":[{"id":"01J2","type":"webhook.deliver","status":"succeeded"},`+
				`{"id":"01J1","type":"webhook.deliver","status":"failed"}]}`)
			return
		case r.Method == http.MethodGet:
			status = "succeeded"
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodDelete:
			status = "canceled"
		}
		_, _ = fmt.Fprintf(w, `{"id":"01J2","type":"webhook.deliver","status":%q,"result":{"status":200}}`, status)
	}))
}

func Example() {
	api := exampleAPI()
	defer api.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// With Credentials and Region of an aws.Config, requests are signed.
	c, err := client.New(api.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err := c.Submit(ctx, client.SubmitRequest{
		Type: "webhook.deliver",
		Input: map[string]any{
			"url": "https://shop.example/hooks", "event": "order.paid", "payload": map[string]any{"order": 17},
		},
		TTL: 10 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Status)

	t, err = c.Wait(ctx, t.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Status, string(t.Result))
	// Output:
	// queued
	// succeeded {"status":200}
}

func ExampleClient_All() {
	api := exampleAPI()
	defer api.Close()
	c, err := client.New(api.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for t, err := range c.All(context.Background(), client.ListRequest{Type: "webhook.deliver"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(t.ID, t.Status)
	}
	// Output:
	// 01J2 succeeded
	// 01J1 failed
}

func ExampleAPIError() {
	api := exampleAPI()
	defer api.Close()
	c, err := client.New(api.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Get(context.Background(), "lost")
	fmt.Println(errors.Is(err, client.ErrNotFound))
	if e, ok := errors.AsType[*client.APIError](err); ok {
		fmt.Println(e.Status, e.Code, e.Detail)
	}
	// Output:
	// true
	// 404 not_found no task has this id
}

// A page at a time, for a caller that shows pages.
func ExampleClient_List() {
	api := exampleAPI()
	defer api.Close()
	c, err := client.New(api.URL+"/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.BaseURL() == api.URL)

	page, err := c.List(context.Background(), client.ListRequest{Status: client.Failed, Limit: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(page.Tasks), "tasks, more:", page.Cursor != "")
	// Output:
	// true
	// 2 tasks, more: false
}

func ExampleClient_Cancel() {
	api := exampleAPI()
	defer api.Close()
	c, err := client.New(api.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	t, err := c.Cancel(context.Background(), "01J2")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Status, t.Status.Finished())
	// Output: canceled true
}
