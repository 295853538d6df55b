import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.avro.reflect.Nullable;
import org.apache.pulsar.client.api.*;
import org.apache.pulsar.client.api.schema.GenericRecord;
import org.apache.pulsar.client.api.schema.SchemaDefinition;

/**
 * The reference client behind JSON lines: one request per line on stdin, one answer per line on stdout.
 *
 * <p>A request names an operation (`op`), and the handle (`id`) of the client, producer, consumer or reader that it makes or
 * uses. Bytes are Base64. An answer is `{"ok": …}` or `{"error": "<exception>", "message": …}`.
 */
public class Peer {
    private static final ObjectMapper JSON = new ObjectMapper();
    private final Map<String, PulsarClient> clients = new HashMap<>();
    private final Map<String, Producer<Object>> producers = new HashMap<>();
    private final Map<String, Consumer<Object>> consumers = new HashMap<>();
    private final Map<String, Reader<Object>> readers = new HashMap<>();
    /** What each consumer handed out, by serialised id: an acknowledgement needs the object itself. */
    private final Map<String, Map<String, MessageId>> delivered = new HashMap<>();
    /** The messages themselves, of consumers with a retry letter topic: `reconsumeLater` needs them. */
    private final Map<String, Map<String, Message<Object>>> retried = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // what libraries print must not mix with the answers
        Peer peer = new Peer();
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = requests.readLine()) != null; ) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                answer.set("ok", JSON.valueToTree(peer.handle(JSON.readTree(line))));
            } catch (Throwable error) {
                Throwable cause = error.getCause() == null ? error : error.getCause();
                answer.put("error", cause.getClass().getSimpleName()).put("message", String.valueOf(cause.getMessage()));
            }
            answers.println(JSON.writeValueAsString(answer));
        }
        System.exit(0);
    }

    private Object handle(JsonNode request) throws Exception {
        String id = request.path("id").asText();
        switch (request.get("op").asText()) {
            case "client":
                clients.put(id, PulsarClient.builder().serviceUrl(request.get("url").asText()).build());
                return null;
            case "producer":
                producers.put(id, producer(request));
                return null;
            case "consumer":
                consumers.put(id, consumer(request));
                delivered.put(id, new HashMap<>());
                if (request.path("retryLetters").asBoolean()) {
                    retried.put(id, new HashMap<>());
                }
                return null;
            case "reader":
                readers.put(id, reader(request));
                return null;
            case "send":
                return send(producers.get(id), request.get("messages"));
            case "receive":
                return receive(id, request.get("wait").asInt());
            case "read":
                return describe(readers.get(id).readNext(request.get("wait").asInt(), TimeUnit.MILLISECONDS));
            case "ack":
                consumers.get(id).acknowledge(delivered.get(id).get(request.get("message").asText()));
                return null;
            case "ack_cumulative":
                consumers.get(id).acknowledgeCumulative(delivered.get(id).get(request.get("message").asText()));
                return null;
            case "nack":
                consumers.get(id).negativeAcknowledge(delivered.get(id).get(request.get("message").asText()));
                return null;
            case "reconsume_later":
                consumers.get(id).reconsumeLater(retried.get(id).get(request.get("message").asText()),
                        request.get("delay").asLong(), TimeUnit.MILLISECONDS);
                return null;
            case "seek":
                consumers.get(id).seek(MessageId.fromByteArray(bytes(request.get("message"))));
                return null;
            case "close":
                close(id);
                return null;
            default:
                throw new IllegalArgumentException("unknown operation " + request.get("op"));
        }
    }

    private Producer<Object> producer(JsonNode request) throws Exception {
        ProducerBuilder<Object> builder = clients.get(request.get("client").asText())
                .newProducer(schema(request.path("schema")))
                .topic(request.get("topic").asText())
                .enableBatching(!request.get("batching").asText().equals("off"))
                .batchingMaxMessages(request.get("batchMaxMessages").asInt())
                .batchingMaxPublishDelay(50, TimeUnit.MILLISECONDS)
                .compressionType(CompressionType.valueOf(request.get("compression").asText()))
                .blockIfQueueFull(true);
        if (request.get("batching").asText().equals("key")) {
            builder.batcherBuilder(BatcherBuilder.KEY_BASED);
        }
        if (request.get("chunking").asBoolean()) {
            builder.enableChunking(true);
        }
        if (request.hasNonNull("name")) {
            builder.producerName(request.get("name").asText());
        }
        if (request.hasNonNull("hashing")) {
            builder.hashingScheme(HashingScheme.valueOf(request.get("hashing").asText()));
        }
        if (request.hasNonNull("encryptionKey")) {
            Path key = Path.of(request.get("encryptionKey").asText());
            builder.addEncryptionKey("test").defaultCryptoKeyReader(Map.of("test", key.toUri().toString()));
        }
        return builder.create();
    }

    private Consumer<Object> consumer(JsonNode request) throws Exception {
        ConsumerBuilder<Object> builder = clients.get(request.get("client").asText())
                .newConsumer(schema(request.path("schema")))
                .topic(request.get("topic").asText())
                .subscriptionName(request.get("subscription").asText())
                .subscriptionType(SubscriptionType.valueOf(request.get("type").asText()))
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest)
                .negativeAckRedeliveryDelay(request.get("nackDelay").asInt(), TimeUnit.MILLISECONDS)
                .startMessageIdInclusive();
        if (request.hasNonNull("name")) {
            builder.consumerName(request.get("name").asText());
        }
        if (request.hasNonNull("maxRedeliverCount")) {
            var policy = DeadLetterPolicy.builder().maxRedeliverCount(request.get("maxRedeliverCount").asInt());
            if (request.hasNonNull("deadLetterTopic")) {
                policy.deadLetterTopic(request.get("deadLetterTopic").asText());
            }
            if (request.hasNonNull("initialSubscription")) {
                policy.initialSubscriptionName(request.get("initialSubscription").asText());
            }
            builder.deadLetterPolicy(policy.build());
        }
        if (request.path("retryLetters").asBoolean()) {
            builder.enableRetry(true);
        }
        return builder.subscribe();
    }

    private Reader<Object> reader(JsonNode request) throws Exception {
        MessageId start = request.hasNonNull("after") ? MessageId.fromByteArray(bytes(request.get("after"))) : MessageId.earliest;
        return clients.get(request.get("client").asText()).newReader(schema(request.path("schema")))
                .topic(request.get("topic").asText()).startMessageId(start).create();
    }

    private List<String> send(Producer<Object> producer, JsonNode messages) throws Exception {
        List<CompletableFuture<MessageId>> sent = new ArrayList<>();
        for (JsonNode message : messages) {
            TypedMessageBuilder<Object> builder = producer.newMessage();
            if (message.hasNonNull("json")) {
                builder.value(JSON.treeToValue(message.get("json"), Everything.class));
            } else if (message.hasNonNull("text")) {
                builder.value(message.get("text").asText());
            } else {
                builder.value(message.hasNonNull("data") ? bytes(message.get("data")) : null);
            }
            if (message.hasNonNull("key")) {
                builder.key(message.get("key").asText());
            }
            if (message.hasNonNull("keyBytes")) {
                builder.keyBytes(bytes(message.get("keyBytes")));
            }
            if (message.hasNonNull("orderingKey")) {
                builder.orderingKey(bytes(message.get("orderingKey")));
            }
            if (message.hasNonNull("eventTime")) {
                builder.eventTime(message.get("eventTime").asLong());
            }
            if (message.hasNonNull("deliverAfter")) {
                builder.deliverAfter(message.get("deliverAfter").asLong(), TimeUnit.MILLISECONDS);
            }
            if (message.hasNonNull("sequenceId")) {
                builder.sequenceId(message.get("sequenceId").asLong());
            }
            message.path("properties").fields().forEachRemaining(entry -> builder.property(entry.getKey(), entry.getValue().asText()));
            sent.add(builder.sendAsync());
        }
        producer.flush();
        List<String> ids = new ArrayList<>();
        for (CompletableFuture<MessageId> future : sent) {
            ids.add(text(future.get(30, TimeUnit.SECONDS).toByteArray()));
        }
        return ids;
    }

    private ObjectNode receive(String id, int timeout) throws Exception {
        Message<Object> message = consumers.get(id).receive(timeout, TimeUnit.MILLISECONDS);
        if (message != null) {
            delivered.get(id).put(text(message.getMessageId().toByteArray()), message.getMessageId());
            if (retried.containsKey(id)) {
                retried.get(id).put(text(message.getMessageId().toByteArray()), message);
            }
        }
        return describe(message);
    }

    private static ObjectNode describe(Message<Object> message) throws Exception {
        if (message == null) {
            return null;
        }
        ObjectNode node = JSON.createObjectNode();
        node.put("messageId", text(message.getMessageId().toByteArray())).put("topic", message.getTopicName());
        node.put("data", text(message.getData())).put("redeliveryCount", message.getRedeliveryCount());
        node.put("eventTime", message.getEventTime());
        node.put("key", message.hasKey() && !message.hasBase64EncodedKey() ? message.getKey() : null);
        node.put("keyBytes", message.hasKey() ? text(message.getKeyBytes()) : null);
        node.put("orderingKey", message.hasOrderingKey() ? text(message.getOrderingKey()) : null);
        node.set("properties", JSON.valueToTree(message.getProperties()));
        Object value = message.getValue();
        if (value instanceof GenericRecord) {
            node.set("value", JSON.readTree(String.valueOf(((GenericRecord) value).getNativeObject())));
            ArrayNode fields = node.putArray("fields");
            ((GenericRecord) value).getFields().forEach(field -> fields.add(field.getName()));
        } else if (!(value instanceof byte[])) {
            node.set("value", JSON.valueToTree(value));
        }
        return node;
    }

    private void close(String id) throws Exception {
        for (Map<String, ? extends AutoCloseable> kind : List.of(producers, consumers, readers, clients)) {
            AutoCloseable found = kind.remove(id);
            if (found != null) {
                found.close();
            }
        }
        delivered.remove(id);
        retried.remove(id);
    }

    /** Absent: bytes. `json`: the record below, its references nullable only where it says so. `auto`: what the topic has. */
    @SuppressWarnings("unchecked")
    private static Schema<Object> schema(JsonNode name) {
        SchemaDefinition<Everything> definition =
                SchemaDefinition.<Everything>builder().withPojo(Everything.class).withAlwaysAllowNull(false).build();
        Schema<?> schema;
        switch (name.asText("bytes")) {
            case "json": schema = Schema.JSON(definition); break;
            case "avro": schema = Schema.AVRO(definition); break;
            case "string": schema = Schema.STRING; break;
            case "auto": schema = Schema.AUTO_CONSUME(); break;
            default: schema = Schema.BYTES;
        }
        return (Schema<Object>) schema;
    }

    private static byte[] bytes(JsonNode node) {
        return Base64.getDecoder().decode(node.asText());
    }

    private static String text(byte[] data) {
        return data == null ? null : Base64.getEncoder().encodeToString(data);
    }
}

/** One field of every kind that a model of ours can have; what JSON has no type for is text. */
class Everything {
    public String text;
    public long whole;
    public double real;
    public boolean flag;
    public String moment;
    public String day;
    public String identity;
    public String price;
    public Colour colour;
    public Inner inner;
    public List<String> words;
    public List<Inner> inners;
    public Map<String, Long> counts;
    @Nullable public String note;
}

class Inner {
    public String name;
    public long size;
}

enum Colour { RED, GREEN }
