// Smoke test of a broker with the Go client: `smoke URL CASE TOPIC`, exit code 0 if what the case expects happens.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	plog "github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/sirupsen/logrus"
)

const (
	patience = 20 * time.Second
	quiet    = 500 * time.Millisecond
)

type order struct {
	ID       int    `json:"id"`
	Customer string `json:"customer"`
}

const orderSchema = `{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},{"name":"customer","type":"string"}]}`

// Another type for a field, which no reader of the first can take.
const otherSchema = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"customer","type":"string"}]}`

var cases = map[string]func(pulsar.Client, string) error{
	"produce-consume": produceConsume,
	"key-shared":      keyShared,
	"seek":            seek,
	"schema":          schema,
	"dead-letters":    deadLetters,
}

func main() {
	if len(os.Args) != 4 || cases[os.Args[2]] == nil {
		fail(fmt.Errorf("usage: smoke URL CASE TOPIC"))
	}
	quietLog := logrus.New()
	quietLog.SetLevel(logrus.ErrorLevel)
	client, err := pulsar.NewClient(pulsar.ClientOptions{
		URL:              os.Args[1],
		OperationTimeout: patience,
		Logger:           plog.NewLoggerWithLogrus(quietLog),
	})
	if err != nil {
		fail(err)
	}
	defer client.Close()
	if err := cases[os.Args[2]](client, os.Args[3]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Batches and single messages arrive in order, and what was acknowledged does not come again.
func produceConsume(client pulsar.Client, topic string) error {
	for _, batching := range []bool{true, false} {
		name := fmt.Sprintf("%s-%t", topic, batching)
		consumer, err := subscribe(client, name, pulsar.Exclusive, nil)
		if err != nil {
			return err
		}
		sent := numbered(50)
		if err := publish(client, pulsar.ProducerOptions{Topic: name, DisableBatching: !batching}, sent, nil); err != nil {
			return err
		}
		received, err := receive(consumer, len(sent))
		if err != nil {
			return err
		}
		if err := same(payloads(received), sent); err != nil {
			return err
		}
		for _, message := range received {
			if err := consumer.Ack(message); err != nil {
				return err
			}
		}
		consumer.Close()
		if consumer, err = subscribe(client, name, pulsar.Exclusive, nil); err != nil {
			return err
		}
		if err := nothing(consumer); err != nil {
			return err
		}
		consumer.Close()
	}
	return nil
}

// Two consumers share the keys: each key goes to one of them, in order.
func keyShared(client pulsar.Client, topic string) error {
	consumers := make([]pulsar.Consumer, 2)
	for index := range consumers {
		consumer, err := subscribe(client, topic, pulsar.KeyShared, nil)
		if err != nil {
			return err
		}
		defer consumer.Close()
		consumers[index] = consumer
	}
	const keys, rounds = 20, 5
	var sent, sentKeys []string
	for number := range keys * rounds {
		sent = append(sent, fmt.Sprint(number))
		sentKeys = append(sentKeys, fmt.Sprintf("key-%d", number%keys))
	}
	options := pulsar.ProducerOptions{Topic: topic, BatcherBuilderType: pulsar.KeyBasedBatchBuilder}
	if err := publish(client, options, sent, sentKeys); err != nil {
		return err
	}
	owner, perKey, counts := map[string]int{}, map[string][]string{}, make([]int, 2)
	for received := 0; received < len(sent); {
		for index, consumer := range consumers {
			message, err := next(consumer, quiet)
			if err != nil {
				continue
			}
			received++
			counts[index]++
			if known, seen := owner[message.Key()]; seen && known != index {
				return fmt.Errorf("%s went to both consumers", message.Key())
			}
			owner[message.Key()] = index
			perKey[message.Key()] = append(perKey[message.Key()], string(message.Payload()))
			if err := consumer.Ack(message); err != nil {
				return err
			}
		}
	}
	for key := range keys {
		var expected []string
		for round := range rounds {
			expected = append(expected, fmt.Sprint(round*keys+key))
		}
		if err := same(perKey[fmt.Sprintf("key-%d", key)], expected); err != nil {
			return err
		}
	}
	if counts[0] == 0 || counts[1] == 0 {
		return fmt.Errorf("one consumer had all the keys: %v", counts)
	}
	return nil
}

// Back to a message, and to a time before all of them.
func seek(client pulsar.Client, topic string) error {
	consumer, err := subscribe(client, topic, pulsar.Exclusive, nil)
	if err != nil {
		return err
	}
	defer consumer.Close()
	began := time.Now().Add(-time.Minute)
	sent := numbered(10)
	if err := publish(client, pulsar.ProducerOptions{Topic: topic, DisableBatching: true}, sent, nil); err != nil {
		return err
	}
	received, err := receive(consumer, len(sent))
	if err != nil {
		return err
	}
	// By time first: after a seek by id this client goes on to leave out what is before that id.
	if err := consumer.SeekByTime(began); err != nil {
		return err
	}
	again, err := receive(consumer, len(sent))
	if err != nil {
		return err
	}
	if err := same(payloads(again), sent); err != nil {
		return err
	}
	if err := consumer.Seek(received[4].ID()); err != nil {
		return err
	}
	if again, err = receive(consumer, 5); err != nil {
		return err
	}
	return same(payloads(again), sent[5:])
}

// A JSON schema is registered and read by; one that does not go with it is refused.
func schema(client pulsar.Client, topic string) error {
	consumer, err := client.Subscribe(pulsar.ConsumerOptions{
		Topic: topic, SubscriptionName: "smoke", Schema: pulsar.NewJSONSchema(orderSchema, nil),
		SubscriptionInitialPosition: pulsar.SubscriptionPositionEarliest,
	})
	if err != nil {
		return err
	}
	defer consumer.Close()
	options := pulsar.ProducerOptions{Topic: topic, Schema: pulsar.NewJSONSchema(orderSchema, nil)}
	producer, err := client.CreateProducer(options)
	if err != nil {
		return err
	}
	defer producer.Close()
	if _, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Value: &order{7, "Ada"}}); err != nil {
		return err
	}
	message, err := next(consumer, patience)
	if err != nil {
		return err
	}
	var value order
	if err := message.GetSchemaValue(&value); err != nil {
		return err
	}
	if value != (order{7, "Ada"}) {
		return fmt.Errorf("the value is %v", value)
	}
	options.Schema = pulsar.NewJSONSchema(otherSchema, nil)
	_, err = client.CreateProducer(options)
	if err == nil || !strings.Contains(err.Error(), "Incompatible") {
		return fmt.Errorf("an incompatible schema: %v", err)
	}
	return nil
}

// A message that is given back twice goes to the dead letter topic, and only it.
func deadLetters(client pulsar.Client, topic string) error {
	policy := &pulsar.DLQPolicy{MaxDeliveries: 2, DeadLetterTopic: topic + "-smoke-DLQ"}
	dead, err := subscribe(client, policy.DeadLetterTopic, pulsar.Exclusive, nil)
	if err != nil {
		return err
	}
	defer dead.Close()
	consumer, err := subscribe(client, topic, pulsar.Shared, policy)
	if err != nil {
		return err
	}
	defer consumer.Close()
	// Each an entry of its own: of a batch, all is delivered again.
	if err := publish(client, pulsar.ProducerOptions{Topic: topic, DisableBatching: true}, []string{"good", "bad"}, nil); err != nil {
		return err
	}
	for range 3 { // good once, bad twice
		message, err := next(consumer, patience)
		if err != nil {
			return err
		}
		if string(message.Payload()) == "bad" {
			consumer.Nack(message)
		} else if err := consumer.Ack(message); err != nil {
			return err
		}
	}
	letters, err := receive(dead, 1)
	if err != nil {
		return err
	}
	if err := same(payloads(letters), []string{"bad"}); err != nil {
		return err
	}
	return nothing(dead)
}

func subscribe(client pulsar.Client, topic string, kind pulsar.SubscriptionType, policy *pulsar.DLQPolicy) (pulsar.Consumer, error) {
	return client.Subscribe(pulsar.ConsumerOptions{
		Topic:                       topic,
		SubscriptionName:            "smoke",
		Type:                        kind,
		SubscriptionInitialPosition: pulsar.SubscriptionPositionEarliest,
		NackRedeliveryDelay:         100 * time.Millisecond,
		AckWithResponse:             true,
		DLQ:                         policy,
	})
}

func publish(client pulsar.Client, options pulsar.ProducerOptions, sent []string, keys []string) error {
	producer, err := client.CreateProducer(options)
	if err != nil {
		return err
	}
	defer producer.Close()
	results := make(chan error, len(sent))
	for index, payload := range sent {
		message := &pulsar.ProducerMessage{Payload: []byte(payload)}
		if keys != nil {
			message.Key = keys[index]
		}
		producer.SendAsync(context.Background(), message, func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
			results <- err
		})
	}
	for range sent {
		if err := <-results; err != nil {
			return err
		}
	}
	return nil
}

func next(consumer pulsar.Consumer, timeout time.Duration) (pulsar.Message, error) {
	limit, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return consumer.Receive(limit)
}

func receive(consumer pulsar.Consumer, count int) ([]pulsar.Message, error) {
	var messages []pulsar.Message
	for len(messages) < count {
		message, err := next(consumer, patience)
		if err != nil {
			return nil, fmt.Errorf("%d of %d messages came: %w", len(messages), count, err)
		}
		messages = append(messages, message)
	}
	return messages, nil
}

func nothing(consumer pulsar.Consumer) error {
	if message, err := next(consumer, quiet); err == nil {
		return fmt.Errorf("came too: %s", message.Payload())
	}
	return nil
}

func numbered(count int) []string {
	numbers := make([]string, count)
	for number := range numbers {
		numbers[number] = fmt.Sprint(number)
	}
	return numbers
}

func payloads(messages []pulsar.Message) []string {
	var found []string
	for _, message := range messages {
		found = append(found, string(message.Payload()))
	}
	return found
}

func same(found, expected []string) error {
	if strings.Join(found, " ") != strings.Join(expected, " ") {
		return fmt.Errorf("expected %v, found %v", expected, found)
	}
	return nil
}
