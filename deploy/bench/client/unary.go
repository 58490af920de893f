// Unary Gets with grpc-go, whose connections send a header that repeats by its index:
// unary ADDRESS CALLS CONNECTIONS STREAMS [TOKEN]. Ends with status 1 at the first call that fails.

package main

import (
	"context"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

const method = "/ringstore.v1.KeyStore/Get"

// The encoded request: key "k".
var request = []byte{10, 1, 'k'}

// encoded messages are bytes already.
type encoded struct{}

func (encoded) Marshal(message interface{}) ([]byte, error) { return message.([]byte), nil }

func (encoded) Unmarshal(bytes []byte, message interface{}) error {
	*message.(*[]byte) = append([]byte(nil), bytes...)
	return nil
}

func (encoded) Name() string { return "proto" }

func (encoded) String() string { return "proto" }

func number(argument string) int {
	value, err := strconv.Atoi(argument)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	log.SetFlags(0)
	left, streams := int64(number(os.Args[2])), number(os.Args[4])
	call := context.Background()
	if len(os.Args) > 5 {
		call = metadata.AppendToOutgoingContext(call, "authorization", "Bearer "+os.Args[5])
	}
	var running sync.WaitGroup
	for range make([]struct{}, number(os.Args[3])) {
		connection, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), grpc.WithBlock())
		if err != nil {
			log.Fatal(err)
		}
		for range make([]struct{}, streams) {
			running.Add(1)
			go func() {
				defer running.Done()
				for atomic.AddInt64(&left, -1) >= 0 {
					var reply []byte
					err := connection.Invoke(call, method, request, &reply, grpc.ForceCodec(encoded{}))
					if err != nil {
						log.Fatal(err)
					}
				}
			}()
		}
	}
	running.Wait()
}
