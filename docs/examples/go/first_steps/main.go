// Values, misses, conditions and errors.
package main

import (
	"fmt"
	"time"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

func main() {
	client := store.Connect()
	key := []byte("greeting")

	_, err := client.Set(store.Within(5*time.Second), &pb.KeyValue{Key: key, Value: []byte("hello")})
	store.Must(err)

	// A key that is missing is no error.
	missing, err := client.Get(store.Within(5*time.Second), &pb.Key{Key: []byte("missing")})
	store.Must(err)
	fmt.Println(missing.Found)

	// A condition that isn't met is none either.
	once, err := client.Set(store.Within(5*time.Second), &pb.KeyValue{
		Key: key, Value: []byte("again"), Condition: pb.SetCondition_SET_CONDITION_IF_ABSENT})
	store.Must(err)
	fmt.Println(once.Ok)

	// Errors carry a reason, which stays the same while sentences may change.
	_, err = client.LPush(store.Within(5*time.Second),
		&pb.ListInsert{Key: key, Values: [][]byte{[]byte("x")}})
	fmt.Println(store.Explain(err).Reason)

	// While a shard restarts, calls on its keys fail at once. A read is repeated.
	var value *pb.Value
	store.Must(store.Repeat(true, 10*time.Second, func() (err error) {
		value, err = client.Get(store.Within(5*time.Second), &pb.Key{Key: key})
		return err
	}))
	fmt.Println(string(value.Value))
}
