// All keys of a pattern, in pages; after an error it continues where it
// stopped.
package main

import (
	"fmt"
	"io"
	"time"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

// scan calls visit for each key. Those that are there during the whole scan come at least once;
// others may come or not.
func scan(client pb.KeyStoreClient, prefix string, visit func([]byte)) error {
	var token []byte
	for {
		err := pages(client, prefix, &token, visit)
		if err == nil || !store.Explain(err).MayPass() {
			return err
		}
	}
}

func pages(client pb.KeyStoreClient, prefix string, token *[]byte, visit func([]byte)) error {
	stream, err := client.Scan(store.Within(time.Minute), &pb.ScanRequest{
		Pattern:  &pb.Pattern{Kind: &pb.Pattern_Prefix{Prefix: []byte(prefix)}},
		PageSize: 1000, ResumeToken: *token})
	if err != nil {
		return err
	}
	for {
		page, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, key := range page.Keys {
			visit(key)
		}
		*token = page.ResumeToken
	}
}

func main() {
	client := store.Connect()
	var items []*pb.KeyValue
	for number := 0; number < 2500; number++ {
		items = append(items, &pb.KeyValue{
			Key: []byte(fmt.Sprintf("user:%d", number)), Value: []byte("x")})
	}
	_, err := client.MSet(store.Within(10*time.Second), &pb.MSetRequest{Items: items})
	store.Must(err)
	found := map[string]bool{}
	store.Must(scan(client, "user:", func(key []byte) { found[string(key)] = true }))
	fmt.Println(len(found))
}
