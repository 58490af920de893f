// So many calls in each window of time, counted over all clients: one call of the store each.
package main

import (
	"fmt"
	"time"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

// allows counts a call, and returns whether it is one of the first in its window. The counter is a
// key that expires: the call that creates it sets its time to live.
func allows(client pb.KeyStoreClient, who string, calls int64, window time.Duration) bool {
	number := time.Now().UnixNano() / int64(window)
	count, err := client.IncrBy(store.Within(time.Second), &pb.IncrByRequest{
		Key: []byte(fmt.Sprintf("rate:%s:%d", who, number)), Delta: 1,
		TtlMillis: 2 * window.Milliseconds()})
	store.Must(err)
	return count.Value <= calls
}

func main() {
	client := store.Connect()
	// A user of this run's own: earlier runs have used up the calls of theirs.
	who := fmt.Sprintf("ada-%d", time.Now().UnixNano())
	// A window of a day, so that no other window begins meanwhile (except at midnight).
	for call := 0; call < 5; call++ {
		fmt.Println(allows(client, who, 3, 24*time.Hour))
	}
}
