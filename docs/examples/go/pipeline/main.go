// Thousands of calls on one stream: the way to load data, many times as fast as one by one.
package main

import (
	"fmt"
	"io"
	"time"

	"github.com/golang/protobuf/proto"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

const (
	total     = 10000
	batchSize = 200
)

// send makes the calls. They have ids, by which replies are matched; calls on one key run in the
// order sent.
func send(stream pb.KeyStore_PipelineClient) {
	for first := 0; first < total; first += batchSize {
		batch := &pb.CallBatch{}
		for id := first; id < first+batchSize; id++ {
			request, err := proto.Marshal(&pb.KeyValue{
				Key: []byte(fmt.Sprintf("loaded:%d", id)), Value: []byte("value")})
			store.Must(err)
			batch.Calls = append(batch.Calls, &pb.Call{
				Id: uint64(id), Method: pb.Method_METHOD_SET, Request: request})
		}
		if stream.Send(batch) != nil {
			// Recv returns the reason why the stream ended.
			return
		}
	}
	stream.CloseSend()
}

func main() {
	stream, err := store.Connect().Pipeline(store.Within(time.Minute))
	store.Must(err)
	// At the same time: the node stops reading if replies are not read.
	go send(stream)
	done, failed := 0, 0
	for {
		replies, err := stream.Recv()
		if err == io.EOF {
			break
		}
		store.Must(err)
		for _, reply := range replies.Replies {
			// Each call has its own outcome; the stream continues.
			if reply.Code == 0 {
				done++
			} else {
				failed++
			}
		}
	}
	fmt.Println(done, failed)
}
