// A queue whose workers wait for work, and that loses nothing when a worker crashes.
//
// A job moves from the queue to its worker's own list in one step, and leaves that list when it is
// done. Who finds jobs in the list of a worker that is gone moves them back. The braces put all of
// the queue's lists into one slot: LMove is for lists of the same slot.
package main

import (
	"fmt"
	"sync"
	"time"

	"ringstore/examples/store"
	pb "ringstore/v1"
)

const (
	queue = "{jobs}"
	wait  = time.Second
	stop  = "stop"
)

// next waits for a job; false: none arrived in time, or it isn't known whether one was taken.
func next(client pb.KeyStoreClient, worker string) (string, bool) {
	// The deadline is later than the end of the wait, so that the store ends the call, not the client.
	reply, err := client.LMove(store.Within(wait+5*time.Second), &pb.ListMoveRequest{
		Key: []byte(queue), Destination: []byte(queue + worker),
		From: pb.ListEnd_LIST_END_HEAD, To: pb.ListEnd_LIST_END_TAIL,
		WaitMillis: uint32(wait / time.Millisecond)})
	if err != nil && store.Explain(err).MayPass() {
		return "", false
	}
	store.Must(err)
	return string(reply.Value), reply.Found
}

func done(client pb.KeyStoreClient, worker, job string) {
	store.Must(store.Repeat(false, 10*time.Second, func() error {
		_, err := client.LRem(store.Within(5*time.Second), &pb.ListRemoveRequest{
			Key: []byte(queue + worker), Count: 1, Value: []byte(job)})
		return err
	}))
}

// takeBack moves the unfinished jobs of a worker to the head of the queue.
func takeBack(client pb.KeyStoreClient, worker string) {
	for found := true; found; {
		// One move more is as good: all of them are moved.
		store.Must(store.Repeat(true, 10*time.Second, func() error {
			reply, err := client.LMove(store.Within(5*time.Second), &pb.ListMoveRequest{
				Key: []byte(queue + worker), Destination: []byte(queue),
				From: pb.ListEnd_LIST_END_TAIL, To: pb.ListEnd_LIST_END_HEAD})
			found = reply.GetFound()
			return err
		}))
	}
}

func work(client pb.KeyStoreClient, worker string, finish func(string)) {
	takeBack(client, worker)
	for {
		job, found := next(client, worker)
		if !found {
			// A call may have taken a job although its reply didn't arrive.
			takeBack(client, worker)
			continue
		}
		if job != stop {
			finish(job)
		}
		done(client, worker, job)
		if job == stop {
			return
		}
	}
}

func main() {
	client := store.Connect()
	const workers, jobs = 3, 20
	var mutex sync.Mutex
	finished := map[string]int{}
	var group sync.WaitGroup
	for number := 0; number < workers; number++ {
		group.Add(1)
		go func(name string) {
			defer group.Done()
			work(client, name, func(job string) {
				mutex.Lock()
				defer mutex.Unlock()
				finished[job]++
			})
		}(fmt.Sprintf(":worker-%d", number))
	}
	var values [][]byte
	for number := 0; number < jobs; number++ {
		values = append(values, []byte(fmt.Sprintf("job %d", number)))
	}
	for number := 0; number < workers; number++ {
		values = append(values, []byte(stop))
	}
	_, err := client.RPush(store.Within(5*time.Second),
		&pb.ListInsert{Key: []byte(queue), Values: values})
	store.Must(err)
	group.Wait()
	fmt.Println(len(finished))
}
