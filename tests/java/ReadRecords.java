import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.common.utils.internals.CloseableIterator;

/**
 * What Kafka's classes read of batches and compressed bytes: {@code java -cp 'JARS/*' ReadRecords.java}. It is asked on
 * stdin and answers on stdout, for {@code cargo xtask java}, in frames with an int32 length before each.
 *
 * A question is a byte and what follows: 0, what is in a {@code records} field, which is read as the consumer does it, from
 * offset 0 on; 1, codec and magic (a byte each), compressed bytes. The answer is text: of a batch that can be read to its end
 * its records, up to the first one that cannot, then {@code end} or {@code error} and why; what the bytes unpack to, or {@code error}.
 */
public class ReadRecords {
    /** What unpacks to more was not meant to be read. */
    private static final int MAX_UNPACKED = 16 << 20;
    /** More bytes than that are told by their number and checksum. */
    private static final int MAX_TOLD = 64;

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
        return question.get() == 0 ? batches(question.slice()) : unpacked(question.get(), question.get(), question.slice());
    }

    /** As the consumer's CompletedFetch does it, with check.crcs. */
    private static String batches(ByteBuffer bytes) {
        StringBuilder told = new StringBuilder();
        long position = 0;
        try {
            for (RecordBatch batch : MemoryRecords.readableRecords(bytes).batches()) {
                StringBuilder records = new StringBuilder();
                batch.ensureValid();
                try (CloseableIterator<Record> each = batch.streamingIterator(BufferSupplier.NO_CACHING)) {
                    while (each.hasNext()) {
                        Record record = each.next();
                        if (record.offset() < position) continue;
                        record.ensureValid();
                        position = record.offset() + 1;
                        if (!batch.isControlBatch()) tell(record, records);
                    }
                }
                told.append(records);
            }
            return told.append("end").toString();
        } catch (Exception | Error error) {
            return told.append("error ").append(error.toString().replace('\n', ' ')).toString();
        }
    }

    private static void tell(Record record, StringBuilder told) {
        told.append(record.offset()).append(' ').append(record.timestamp()).append(' ');
        told.append(text(record.key())).append(' ').append(text(record.value()));
        for (Header header : record.headers()) {
            told.append(' ').append(text(header.key().getBytes(StandardCharsets.UTF_8))).append('=').append(text(header.value()));
        }
        told.append('\n');
    }

    private static String unpacked(int codec, byte magic, ByteBuffer packed) {
        try (InputStream in = Compression.of(CompressionType.forId(codec)).build()
                .wrapForInput(packed, magic, BufferSupplier.NO_CACHING)) {
            byte[] all = in.readNBytes(MAX_UNPACKED + 1);
            return all.length > MAX_UNPACKED ? "error too large" : text(all);
        } catch (Exception | Error error) {
            return "error " + error.toString().replace('\n', ' ');
        }
    }

    private static String text(ByteBuffer bytes) {
        if (bytes == null) return "null";
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return text(copy);
    }

    private static String text(byte[] bytes) {
        if (bytes == null) return "null";
        if (bytes.length <= MAX_TOLD) return "'" + HexFormat.of().formatHex(bytes) + "'";
        CRC32C sum = new CRC32C();
        sum.update(bytes);
        return bytes.length + ":" + Long.toHexString(sum.getValue());
    }
}
