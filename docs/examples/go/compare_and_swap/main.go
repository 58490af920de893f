// Read, change, write back only if no other client has written meanwhile.
package main

import (
	"fmt"
	"strings"
	"time"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

// change calls edit with the value, and again if others were quicker.
func change(client pb.KeyStoreClient, key []byte, edit func(string) string) {
	for {
		old, err := client.Get(store.Within(5*time.Second), &pb.Key{Key: key})
		store.Must(err)
		// Version 0 means that the key doesn't exist.
		reply, err := client.Set(store.Within(5*time.Second), &pb.KeyValue{
			Key: key, Value: []byte(edit(string(old.Value))),
			Condition: pb.SetCondition_SET_CONDITION_IF_VERSION, IfVersion: old.Version})
		store.Must(err)
		if reply.Ok {
			return
		}
	}
}

func main() {
	client := store.Connect()
	for _, name := range []string{"ada", "grace"} {
		change(client, []byte("team"), func(members string) string {
			return strings.TrimSpace(members + " " + name)
		})
	}
	team, err := client.Get(store.Within(5*time.Second), &pb.Key{Key: []byte("team")})
	store.Must(err)
	fmt.Println(string(team.Value))
}
