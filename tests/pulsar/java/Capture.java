import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.pulsar.client.admin.PulsarAdmin;
import org.apache.pulsar.client.api.*;
import org.apache.pulsar.client.api.transaction.Transaction;

/** The part of `capture_frames.py` that only the reference client can play. Arguments: service URL, admin URL. */
public class Capture {
    public static class Flight {
        public String origin;
        public int delay;
    }

    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));

    /** Names what comes next, and waits until the name was taken. */
    private static void step(String name) throws Exception {
        System.out.println("step " + name);
        IN.readLine();
    }

    public static void main(String[] arguments) throws Exception {
        step("start");
        try (PulsarClient client = PulsarClient.builder().serviceUrl(arguments[0]).listenerName("proxy")
                        .enableTransaction(true).statsInterval(0, TimeUnit.SECONDS).build();
                PulsarAdmin admin = PulsarAdmin.builder().serviceHttpUrl(arguments[1]).build()) {
            step("schema");
            Producer<Flight> flights = client.newProducer(Schema.JSON(Flight.class)).topic("flights")
                    .accessMode(ProducerAccessMode.Exclusive).create();
            Consumer<?> any = client.newConsumer(Schema.AUTO_CONSUME()).topic("flights").subscriptionName("auto")
                    .isAckReceiptEnabled(true).subscriptionProperties(Map.of("a", "b")).subscribe();
            flights.send(new Flight());
            any.acknowledge(any.receive(10, TimeUnit.SECONDS));
            any.getLastMessageIds();
            any.close();
            fails(() -> client.newProducer(Schema.JSON(Flight.class)).topic("flights").create());
            flights.close();
            keys(client);
            patterns(client);
            transaction(client);
            step("end");
            Consumer<byte[]> last = client.newConsumer().topic("ends").subscriptionName("s")
                    .subscriptionType(SubscriptionType.Failover).subscribe();
            admin.topics().terminateTopic("ends");
            admin.topics().unload("keys");
            last.close();
        }
        step("done");
        System.exit(0);
    }

    private static void keys(PulsarClient client) throws Exception {
        step("keys");
        Consumer<byte[]> sticky = client.newConsumer().topic("keys").subscriptionName("sticky")
                .subscriptionType(SubscriptionType.Key_Shared)
                .keySharedPolicy(KeySharedPolicy.stickyHashRange().ranges(Range.of(0, 65535))).subscribe();
        Producer<byte[]> batching = client.newProducer().topic("keys").batcherBuilder(BatcherBuilder.KEY_BASED)
                .enableBatching(true).batchingMaxPublishDelay(5, TimeUnit.SECONDS).create();
        for (String key : new String[] {"a", "a", "b"}) {
            batching.newMessage().keyBytes(key.getBytes()).value("text".getBytes()).property("p", "q").sendAsync();
        }
        batching.flush();
        for (int i = 0; i < 3; i++) {
            sticky.acknowledge(sticky.receive(10, TimeUnit.SECONDS));
        }
        batching.close();
        sticky.close();
        step("tombstone");
        Reader<byte[]> reader = client.newReader().topic("keys").startMessageId(MessageId.latest).create();
        Producer<byte[]> chunking = client.newProducer().topic("keys").enableBatching(false).enableChunking(true)
                .chunkMaxMessageSize(1000).create();
        chunking.newMessage().key("a").value(null).send();
        reader.readNext(10, TimeUnit.SECONDS);
        step("chunk");
        chunking.send(new byte[2500]);
        reader.readNext(10, TimeUnit.SECONDS);
        chunking.close();
        reader.close();
    }

    private static void patterns(PulsarClient client) throws Exception {
        step("pattern");
        Consumer<byte[]> watching = client.newConsumer().topicsPattern(Pattern.compile("public/default/watched-.*"))
                .subscriptionName("pattern").subscribe();
        client.newProducer().topic("watched-1").create().close();
        watching.close();
    }

    private static void transaction(PulsarClient client) throws Exception {
        step("transaction");
        Producer<byte[]> producer = client.newProducer().topic("paid").sendTimeout(0, TimeUnit.SECONDS).create();
        Consumer<byte[]> consumer = client.newConsumer().topic("paid").subscriptionName("s").subscribe();
        Transaction transaction = client.newTransaction().withTransactionTimeout(1, TimeUnit.MINUTES).build().get();
        producer.newMessage(transaction).value("in a transaction".getBytes()).send();
        producer.newMessage().value("outside".getBytes()).sendAsync();
        transaction.commit().get();
        consumer.acknowledge(consumer.receive(10, TimeUnit.SECONDS));
        Transaction second = client.newTransaction().withTransactionTimeout(1, TimeUnit.MINUTES).build().get();
        consumer.acknowledgeAsync(consumer.receive(10, TimeUnit.SECONDS).getMessageId(), second).get();
        second.abort().get();
        producer.close();
        consumer.close();
    }

    private interface Attempt {
        Object run() throws Exception;
    }

    private static void fails(Attempt attempt) throws Exception {
        try {
            attempt.run();
        } catch (PulsarClientException expected) {
            return;
        }
        throw new AssertionError("it did not fail");
    }
}
