// The commands through go-redis.
//
//	go_client PORT [2|3] [cluster]        RESP2 or RESP3; the port of any node of a cluster
//
// docs/clients.md shows pieces of this program; a test runs it against every server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	ann  = "{go}:ann"
	shop = "{go}:shop"
	paid = "{go}:paid"
)

var ctx = context.Background()

// The code of a refusal, and its object of details.
func refusal(err error) (word string, known map[string]any) {
	word, object, _ := strings.Cut(err.Error(), " ")
	json.Unmarshal([]byte(object), &known)
	return word, known
}

// A map in RESP3, a list of names and values in RESP2.
func asMap(reply any) map[any]any {
	if named, ok := reply.(map[any]any); ok {
		return named
	}
	named := map[any]any{}
	for pair := range slices.Chunk(reply.([]any), 2) {
		named[pair[0]] = pair[1]
	}
	return named
}

// The keys of a transaction are counted. A cluster client is told that the first key is the second word,
// otherwise it asks the wrong shard first.
func transaction(r redis.UniversalClient, words ...any) ([]any, error) {
	cmd := redis.NewCmd(ctx, append([]any{"MODEL.TXN"}, words...)...)
	cmd.SetFirstKeyPos(2)
	r.Process(ctx, cmd)
	return cmd.Slice()
}

// Adds one under a lock: the server replies the document with the grant, and refuses writes after the lease.
func visit(patient, r redis.UniversalClient, task string) error {
	grant, err := patient.Do(ctx, "MODEL.LOCK", shop, "visits", task, "WAIT", 30_000, "GET").Slice()
	if err != nil {
		return err
	}
	fence, document := grant[0], struct{ Visits int }{}
	if err := json.Unmarshal([]byte(grant[3].(string)), &document); err != nil {
		return err
	}
	return r.Do(ctx, "MODEL.FIELDOP", shop, "HOLDING", "visits", task, fence,
		"SET", "$.visits", document.Visits+1, "RELEASE", "visits", task, fence).Err()
}

func main() {
	addr := "127.0.0.1:" + os.Args[1]
	protocol, inCluster := 3, len(os.Args) > 3
	if len(os.Args) > 2 {
		protocol, _ = strconv.Atoi(os.Args[2])
	}
	connect := func(options redis.UniversalOptions) redis.UniversalClient {
		options.Addrs, options.Protocol, options.IsClusterMode = []string{addr}, protocol, inCluster
		return redis.NewUniversalClient(&options)
	}
	r := connect(redis.UniversalOptions{})
	defer r.Close()

	schema := `{"properties":{"cents":{"type":"integer"},"visits":{"type":"integer","default":0}}}`
	version, err := r.Do(ctx, "MODEL.DEFINE", "purse", schema, "RULE", "covered", "self.cents >= 0").Int()
	check(err)
	expect(version > 0, true)
	// Another shard of a cluster knows the model a moment later.
	for range 500 {
		err = r.Do(ctx, "MODEL.SET", shop, "purse", `{"cents":0}`).Err()
		if err == nil || !strings.HasPrefix(err.Error(), "NOMODEL ") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	check(err)

	// A value is JSON text; a count or a revision is a number.
	revision, err := r.Do(ctx, "MODEL.SET", ann, "purse", `{"cents":1}`).Int64()
	check(err)
	expect(revision > 0, true)
	values, err := r.Do(ctx, "MODEL.FIELDOP", ann, "INCR", "$.cents", 99).StringSlice()
	check(err)
	expect(values, []string{"100"})
	text, err := r.Do(ctx, "MODEL.GET", shop).Text()
	check(err)
	expect(text, `{"cents":0,"visits":0}`)

	err = r.Do(ctx, "MODEL.FIELDOP", ann, "IF", "self.cents >= 500", "INCR", "$.cents", -500).Err()
	word, known := refusal(err)
	expect(word, "CONDITION")
	expect(known["values"], map[string]any{"self.cents": 100.0})
	word, known = refusal(r.Do(ctx, "MODEL.FIELDOP", ann, "INCR", "$.cents", -500).Err())
	expect([]any{word, known["rule"]}, []any{"RULE", "covered"})

	// A missing document is redis.Nil as a reply, and nil within one.
	expect(errors.Is(r.Do(ctx, "MODEL.GET", "{go}:none").Err(), redis.Nil), true)

	// Sent twice under its token, executed once.
	pay := []any{
		3, ann, shop, paid, "TOKEN", paid,
		"ON", ann, "IF", "self.cents >= 70", "INCR", "$.cents", -70,
		"ON", shop, "INCR", "$.cents", 70,
	}
	first, err := transaction(r, pay...)
	check(err)
	again, err := transaction(r, pay...)
	check(err)
	expect(first, []any{[]any{"30"}, []any{"70"}})
	expect(again, first)

	// A waiting command occupies a connection. Waiters have a pool of their own, so that the holder finds a
	// connection for the release; its timeout exceeds WAIT.
	patient := connect(redis.UniversalOptions{ReadTimeout: 40 * time.Second, PoolSize: 20})
	defer patient.Close()
	const tasks = 20
	done := make(chan error)
	for nth := range tasks {
		go func() { done <- visit(patient, r, fmt.Sprint("task:", nth)) }()
	}
	for range tasks {
		check(<-done)
	}
	text, err = r.Do(ctx, "MODEL.GET", shop, "$.visits").Text()
	check(err)
	expect(text, strconv.Itoa(tasks))

	// A lock that is not granted in time is redis.Nil.
	check(r.Do(ctx, "MODEL.LOCK", ann, "audit", "first").Err())
	err = r.Do(ctx, "MODEL.LOCK", ann, "audit", "second", "WAIT", 20).Err()
	expect(errors.Is(err, redis.Nil), true)

	reply, err := r.Do(ctx, "MODEL.META", ann).Result()
	check(err)
	meta := asMap(reply)
	expect([]any{meta["model"], meta["locks"]}, []any{"purse", int64(1)})
	locks, err := r.Do(ctx, "MODEL.LOCKS", ann).Slice()
	check(err)
	lock := asMap(locks[0])
	holder := lock["holders"].([]any)[0].([]any)[0]
	expect([]any{lock["name"], lock["mode"], holder}, []any{"audit", "exclusive", "first"})

	fmt.Println("ok")
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(found, wanted any) {
	if fmt.Sprintf("%#v", found) != fmt.Sprintf("%#v", wanted) {
		panic(fmt.Sprintf("expected %#v, found %#v", wanted, found))
	}
}
