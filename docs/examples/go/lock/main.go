// A lock with a time to live and a fencing token.
//
// Its holder can lose it without knowing: it was paused for too long. So the lock alone is not
// safe: send the token with every write to what the lock guards, and have that refuse a token
// smaller than the greatest that it has seen.
package main

import (
	"crypto/rand"
	"fmt"
	"time"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

// take returns the fencing token, or false if another client holds the lock. Always call release.
func take(client pb.KeyStoreClient, key string, life time.Duration) (
	token uint64, ok bool, release func(),
) {
	owner := make([]byte, 16)
	_, err := rand.Read(owner)
	store.Must(err)
	release = func() {
		// Deletes it only if it is still ours, so it may be done twice. Also after an unknown outcome
		// of Set, which may have taken the lock.
		store.Must(store.Repeat(true, 10*time.Second, func() error {
			_, err := client.Delete(store.Within(5*time.Second), &pb.DeleteRequest{
				Key: []byte(key), Condition: &pb.DeleteRequest_IfValue{IfValue: owner}})
			return err
		}))
	}
	taken, err := client.Set(store.Within(5*time.Second), &pb.KeyValue{
		Key: []byte(key), Value: owner, Condition: pb.SetCondition_SET_CONDITION_IF_ABSENT,
		Expiry: &pb.KeyValue_TtlMillis{TtlMillis: life.Milliseconds()}})
	if err != nil {
		release()
		store.Must(err)
	}
	// Each holder has a greater version than those before.
	return taken.Version, taken.Ok, release
}

func main() {
	client := store.Connect()
	first, mine, release := take(client, "lock:report", 30*time.Second)
	_, another, releaseNothing := take(client, "lock:report", 30*time.Second)
	fmt.Println(mine, another)
	releaseNothing()
	release()
	later, _, release := take(client, "lock:report", 30*time.Second)
	fmt.Println(later > first)
	release()
}
