import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.RawTaggedField;

/**
 * What Kafka's classes read of responses and of the blobs of consumer groups: {@code java -cp 'JARS/*' ReadMessages.java}.
 * It is asked on stdin and answers on stdout, for {@code cargo xtask java}, in frames with an int32 length before each.
 *
 * A question is a byte and what follows: 0, API key and version as int16s, a response without header; 1, a subscription; 2, an
 * assignment. The answer is text: {@code unsupported} where this release has no such version; {@code error} and why; else of
 * a response how many bytes are left behind it and the bytes that it is written as again, of a blob its fields.
 */
public class ReadMessages {
    public static void main(String[] args) throws IOException {
        DataInputStream in = new DataInputStream(new java.io.BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new java.io.BufferedOutputStream(System.out, 1 << 16));
        while (true) {
            // What has been answered must not wait for the next question.
            if (in.available() == 0) out.flush();
            byte[] question;
            try {
                question = in.readNBytes(in.readInt());
            } catch (EOFException end) {
                break;
            }
            byte[] answer = answer(ByteBuffer.wrap(question)).getBytes(StandardCharsets.UTF_8);
            out.writeInt(answer.length);
            out.write(answer);
        }
        out.flush();
    }

    private static String answer(ByteBuffer question) {
        try {
            return switch (question.get()) {
                case 0 -> response(question.getShort(), question.getShort(), question.slice());
                case 1 -> text(ConsumerProtocol.deserializeSubscription(question.slice()));
                default -> text(ConsumerProtocol.deserializeAssignment(question.slice()));
            };
        } catch (Exception | Error error) {
            return "error " + error.toString().replace('\n', ' ');
        }
    }

    private static String response(short key, short version, ByteBuffer bytes) {
        ApiMessage message;
        try {
            message = ApiMessageType.fromApiKey(key).newResponse();
            if (version < message.lowestSupportedVersion() || version > message.highestSupportedVersion()) {
                return "unsupported";
            }
        } catch (RuntimeException | Error none) {
            return "unsupported";
        }
        message.read(new ByteBufferAccessor(bytes), version);
        int left = bytes.remaining();
        try {
            tidy(message);
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBufferAccessor out = new ByteBufferAccessor(ByteBuffer.allocate(message.size(cache, version)));
            message.write(out, cache, version);
            return left + " " + HexFormat.of().formatHex(out.buffer().array());
        } catch (RuntimeException | ReflectiveOperationException refused) {
            return left + " unwritable: " + refused.toString().replace('\n', ' ');
        }
    }

    /** Brings tags that nobody knows into their order, of each the last, since otherwise they are read but not written. */
    private static void tidy(Message message) throws ReflectiveOperationException {
        Map<Integer, RawTaggedField> tags = new TreeMap<>();
        message.unknownTaggedFields().forEach(field -> tags.put(field.tag(), field));
        message.unknownTaggedFields().clear();
        message.unknownTaggedFields().addAll(tags.values());
        for (Field field : message.getClass().getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) || field.getType().isPrimitive()) continue;
            field.setAccessible(true);
            Object value = field.get(message);
            if (value instanceof Message inner) tidy(inner);
            if (!(value instanceof Collection<?> list)) continue;
            for (Object element : list) {
                if (element instanceof Message inner) tidy(inner);
            }
        }
    }

    private static String text(Subscription subscription) {
        List<String> topics = new ArrayList<>();
        subscription.topics().forEach(topic -> topics.add(hex(topic)));
        return "topics " + topics + " user " + hex(subscription.userData()) + " owned " + text(subscription.ownedPartitions())
            + " generation " + subscription.generationId().orElse(-1) + " rack " + subscription.rackId().map(ReadMessages::hex).orElse("null");
    }

    private static String text(Assignment assignment) {
        return "partitions " + text(assignment.partitions()) + " user " + hex(assignment.userData());
    }

    private static String text(List<TopicPartition> partitions) {
        List<String> each = new ArrayList<>();
        partitions.forEach(partition -> each.add(hex(partition.topic()) + "-" + partition.partition()));
        return each.toString();
    }

    private static String hex(String text) {
        return HexFormat.of().formatHex(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String hex(ByteBuffer bytes) {
        if (bytes == null) return "null";
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return HexFormat.of().formatHex(copy);
    }
}
