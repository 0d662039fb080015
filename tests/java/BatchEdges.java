import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;

/**
 * Batches at their edges, as Kafka writes and reads them: the largest offsets, times, producers and epochs, and lengths at
 * which a varint grows. {@code java -cp 'JARS/*' BatchEdges.java VERSION > batches.jsonl}
 */
public class BatchEdges {
    private static final int[] LENGTHS = {0, 1, 63, 64, 65, 127, 128, 8191, 8192};
    private static final long[][] TIMES = {
        {0, Long.MAX_VALUE}, {Long.MAX_VALUE, Long.MAX_VALUE - 1}, {-1, -1}, {Long.MAX_VALUE, 0}, {1L << 62, 1, (1L << 62) + 64},
    };
    private static final int[] COUNTS = {1, 2, 64, 65, 130};

    public static void main(String[] args) {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (int at = 0; at < 20; at++) {
            MemoryRecords records = batch(at);
            String batches = StreamSupport.stream(records.batches().spliterator(), false)
                .map(batch -> json(batch, records.buffer().getShort(21))).collect(Collectors.joining(","));
            out.printf("{\"case\":\"extremes\",\"magic\":2,\"codec\":\"none\",\"kafka\":\"%s\",\"asKafkaWrites\":true,", args[0]);
            out.printf("\"hex\":\"%s\",\"batches\":[%s],\"trailingBytes\":0}%n", hex(records.buffer()), batches);
        }
        out.flush();
    }

    private static MemoryRecords batch(int at) {
        boolean isIdempotent = at % 2 == 0;
        boolean isAppendTime = at % 4 == 3;
        long[] times = TIMES[at % TIMES.length];
        int count = COUNTS[at / 4];
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 20), (byte) 2, Compression.NONE,
            isAppendTime ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
            at % 3 == 0 ? Long.MAX_VALUE - count : at, isAppendTime ? Long.MAX_VALUE : -1,
            isIdempotent ? Long.MAX_VALUE : -1, isIdempotent ? Short.MAX_VALUE : -1, isIdempotent ? Integer.MAX_VALUE - at : -1,
            isIdempotent && at % 4 == 0, false, at % 5 == 0 ? Integer.MAX_VALUE : -1, 1 << 20);
        for (int i = 0; i < count; i++) {
            Header[] headers = new Header[i == 0 && at % 5 == 4 ? 65 : i % 3];
            for (int h = 0; h < headers.length; h++) {
                headers[h] = new RecordHeader(h % 2 == 0 ? "" : "é€😀".repeat(7), h % 3 == 0 ? null : bytes(h % 3 == 1 ? 0 : 64));
            }
            // The large ones once.
            int lengths = i < LENGTHS.length ? LENGTHS.length : LENGTHS.length - 2;
            byte[] key = i % 3 == 0 ? null : bytes(i % 3 == 1 ? 0 : 64);
            byte[] value = i % 7 == 6 ? null : bytes(LENGTHS[i % lengths]);
            builder.append(times[i % times.length], key, value, headers);
        }
        return builder.build();
    }

    private static byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) (i * 0x55);
        }
        return bytes;
    }

    private static String json(MutableRecordBatch read, short attributes) {
        DefaultRecordBatch batch = (DefaultRecordBatch) read;
        List<String> records = new ArrayList<>();
        for (Record record : batch) {
            records.add(json(record, batch.hasProducerId()));
        }
        return "{\"magic\":2,\"sizeInBytes\":" + batch.sizeInBytes() + ",\"attributes\":" + attributes + ",\"codec\":\"none\""
            + ",\"crc\":" + batch.checksum() + ",\"crcValid\":" + batch.isValid() + ",\"timestampType\":\"" + batch.timestampType()
            + "\",\"baseOffset\":" + batch.baseOffset() + ",\"lastOffset\":" + batch.lastOffset() + ",\"maxTimestamp\":"
            + batch.maxTimestamp() + ",\"baseTimestamp\":" + batch.baseTimestamp() + ",\"recordCount\":" + batch.countOrNull()
            + ",\"partitionLeaderEpoch\":" + batch.partitionLeaderEpoch() + ",\"producerId\":" + batch.producerId()
            + ",\"producerEpoch\":" + batch.producerEpoch() + ",\"baseSequence\":" + batch.baseSequence() + ",\"lastSequence\":"
            + batch.lastSequence() + ",\"isTransactional\":" + batch.isTransactional() + ",\"isControl\":" + batch.isControlBatch()
            + ",\"deleteHorizonMs\":null,\"records\":[" + String.join(",", records) + "]}";
    }

    private static String json(Record record, boolean hasSequence) {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            byte[] value = header.value();
            headers.add("[\"" + header.key() + "\"," + quoted(value == null ? null : ByteBuffer.wrap(value)) + "]");
        }
        return "{\"offset\":" + record.offset() + ",\"timestamp\":" + record.timestamp() + ",\"keyHex\":" + quoted(record.key())
            + ",\"valueHex\":" + quoted(record.value()) + (hasSequence ? ",\"sequence\":" + record.sequence() : "")
            + ",\"headers\":[" + String.join(",", headers) + "]}";
    }

    private static String quoted(ByteBuffer bytes) {
        return bytes == null ? "null" : "\"" + hex(bytes) + "\"";
    }

    private static String hex(ByteBuffer bytes) {
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return HexFormat.of().formatHex(copy);
    }
}
