import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.IntegerDeserializer;
import org.apache.kafka.common.serialization.IntegerSerializer;

/**
 * Kafka's own clients on a cluster that is to be tried: {@code java -cp JARS Numbers.java BOOTSTRAP TOPIC}.
 *
 * Numbers are written, idempotently, once with each compression, and read by a group of two members, one after the other:
 * the second goes on where the first has committed. Each number must come once from each compression.
 */
public class Numbers {
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final int NUMBERS = 1000;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    public static void main(String[] args) throws Exception {
        String bootstrap = args[0], topic = args[1];
        for (String codec : CODECS) {
            write(bootstrap, topic, codec);
        }
        Map<Integer, Integer> seen = new TreeMap<>();
        int all = CODECS.size() * NUMBERS;
        read(bootstrap, topic, all / 2, seen);
        read(bootstrap, topic, all, seen);
        for (int number = 0; number < NUMBERS; number++) {
            check(seen.getOrDefault(number, 0) == CODECS.size(), number + " came " + seen.get(number) + " times");
        }
        check(seen.size() == NUMBERS, seen.size() + " numbers");
        System.out.println(all + " written and read in a group");
    }

    private static void write(String bootstrap, String topic, String codec) throws Exception {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", bootstrap, "compression.type", codec, "enable.idempotence", true, "linger.ms", 5);
        try (var producer = new KafkaProducer<>(config, new IntegerSerializer(), new IntegerSerializer())) {
            RecordMetadata last = null;
            for (int number = 0; number < NUMBERS; number++) {
                var sent = producer.send(new ProducerRecord<>(topic, number, number));
                last = number + 1 == NUMBERS ? sent.get() : last;
            }
            check(last.hasOffset(), "no offset");
        }
    }

    /** Until {@code until} numbers were seen in all; commits what it has handled. */
    private static void read(String bootstrap, String topic, int until, Map<Integer, Integer> seen) {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", bootstrap, "group.id", "numbers", "auto.offset.reset", "earliest",
            "enable.auto.commit", false, "max.poll.records", 100);
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        try (var consumer = new KafkaConsumer<>(config, new IntegerDeserializer(), new IntegerDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (count(seen) < until) {
                check(System.nanoTime() < deadline, "only " + count(seen) + " came");
                for (ConsumerRecord<Integer, Integer> record : consumer.poll(Duration.ofSeconds(1))) {
                    check(record.key().equals(record.value()), record.toString());
                    seen.merge(record.value(), 1, Integer::sum);
                }
                consumer.commitSync();
            }
        }
    }

    private static int count(Map<Integer, Integer> seen) {
        return seen.values().stream().mapToInt(Integer::intValue).sum();
    }

    private static void check(boolean holds, String why) {
        if (!holds) {
            throw new AssertionError(why);
        }
    }
}
