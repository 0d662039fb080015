import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;

/**
 * What Kafka's codec classes make of compressed bytes at their edges: something behind the end, empty parts, several streams
 * behind each other, wrong checksums, bytes that are cut off. A line each: codec, case, bytes, and what was read or "error".
 * {@code java -cp 'JARS/*' CodecEdges.java > codecs.txt}
 */
public class CodecEdges {
    private static final byte[] HELLO = "hello, hello, hello".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] TEXT = "this is no compressed stream, but long enough to be one".getBytes(StandardCharsets.US_ASCII);

    public static void main(String[] args) throws IOException {
        for (CompressionType type : CompressionType.values()) {
            if (type == CompressionType.NONE) continue;
            byte[] hello = pack(type, HELLO);
            byte[] empty = pack(type, new byte[0]);
            show(type, "plain", hello);
            show(type, "nothing", new byte[0]);
            show(type, "of nothing", empty);
            show(type, "a zero behind", join(hello, new byte[1]));
            show(type, "four zeros behind", join(hello, new byte[4]));
            show(type, "forty zeros behind", join(hello, new byte[40]));
            show(type, "text behind", join(hello, TEXT));
            show(type, "another behind", join(hello, hello));
            show(type, "one of nothing behind", join(hello, empty));
            show(type, "one behind nothing", join(empty, hello));
            show(type, "another and text behind", join(hello, hello, TEXT));
            show(type, "text and another behind", join(hello, TEXT, hello));
            for (int cut = 1; cut <= 12; cut++) {
                show(type, "cut by " + cut, Arrays.copyOf(hello, hello.length - cut));
                show(type, "another cut by " + cut, join(hello, Arrays.copyOf(hello, hello.length - cut)));
            }
            for (int end = 1; end <= 20; end++) {
                show(type, "the first " + end + " behind", join(hello, Arrays.copyOf(hello, end)));
            }
            for (int at = 1; at <= Math.min(12, hello.length); at++) {
                byte[] changed = hello.clone();
                changed[changed.length - at] ^= 0x10;
                show(type, "changed at -" + at, changed);
            }
            for (int at = 0; at < 20; at++) {
                byte[] changed = hello.clone();
                changed[at] ^= 0x04;
                show(type, "changed at " + at, changed);
            }
        }
        show(CompressionType.LZ4, "content checksum", lz4(0x64, true, new byte[] {1, 2, 3, 4}));
        show(CompressionType.LZ4, "content checksum cut off", lz4(0x64, true, new byte[] {1, 2}));
        show(CompressionType.LZ4, "wrong block checksum", lz4(0x70, true, new byte[0]));
        show(CompressionType.LZ4, "no end mark", lz4(0x60, false, new byte[0]));
        show(CompressionType.LZ4, "linked blocks", lz4(0x40, true, new byte[0]));
        byte[] skippable = HexFormat.of().parseHex("502a4d1803000000787878");
        show(CompressionType.LZ4, "a skippable one before", join(skippable, pack(CompressionType.LZ4, HELLO)));
        show(CompressionType.ZSTD, "a skippable one before", join(skippable, pack(CompressionType.ZSTD, HELLO)));
        show(CompressionType.ZSTD, "a skippable one behind", join(pack(CompressionType.ZSTD, HELLO), skippable));
        show(CompressionType.ZSTD, "a skippable one alone", skippable);
        show(CompressionType.SNAPPY, "raw", HexFormat.of().parseHex("051068656c6c6f"));
        byte[] framed = pack(CompressionType.SNAPPY, new byte[0]);
        show(CompressionType.SNAPPY, "an empty block", join(framed, HexFormat.of().parseHex("0000000100")));
        show(CompressionType.SNAPPY, "a negative size", join(framed, HexFormat.of().parseHex("ffffffff00")));
    }

    /** A frame of one stored block, with a header checksum that is right for each of the flags. */
    private static byte[] lz4(int flags, boolean endMark, byte[] behind) {
        byte[] header = {4, 0x22, 0x4d, 0x18, (byte) flags, 0x40, 0};
        int hash = net.jpountz.xxhash.XXHashFactory.fastestJavaInstance().hash32().hash(header, 4, 2, 0);
        header[6] = (byte) (hash >> 8);
        byte[] block = HexFormat.of().parseHex("0500008068656c6c6f");
        byte[] sum = (flags & 0x10) == 0 ? new byte[0] : new byte[] {9, 9, 9, 9};
        return join(header, block, sum, endMark ? new byte[4] : new byte[0], behind);
    }

    private static byte[] pack(CompressionType type, byte[] bytes) throws IOException {
        ByteBufferOutputStream out = new ByteBufferOutputStream(1024);
        try (OutputStream packer = Compression.of(type).build().wrapForOutput(out, (byte) 2)) {
            packer.write(bytes);
        }
        out.buffer().flip();
        byte[] packed = new byte[out.buffer().remaining()];
        out.buffer().get(packed);
        return packed;
    }

    private static void show(CompressionType type, String what, byte[] packed) {
        String read;
        try {
            ByteBuffer buffer = ByteBuffer.wrap(packed);
            var input = Compression.of(type).build().wrapForInput(buffer, (byte) 2, BufferSupplier.NO_CACHING);
            read = HexFormat.of().formatHex(input.readAllBytes());
        } catch (Exception | Error error) {
            read = "error";
            System.err.println(type.name + ", " + what + ": " + error);
        }
        System.out.println(String.join("|", type.name, what, HexFormat.of().formatHex(packed), read));
    }

    private static byte[] join(byte[]... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] part : parts) all.writeBytes(part);
        return all.toByteArray();
    }
}
