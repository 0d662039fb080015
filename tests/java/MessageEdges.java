import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Messages at their edges, in each version, as Kafka's generated classes write them: with all null that may be
 * ({@code nulls}), and with the smallest and largest numbers and lengths at which a varint grows ({@code extremes}).
 *
 * {@code java -cp 'JARS/*' MessageEdges.java VERSION JAR... > messages.jsonl}: of all message classes in these jars. Which
 * fields a version has, and which may be null there, is found by trying: what Kafka refuses to write is taken back.
 */
public class MessageEdges {
    private static final int[] LENGTHS = {0, 1, 126, 127, 128};
    private static final double[] DOUBLES =
        {Double.MAX_VALUE, -Double.MAX_VALUE, Double.MIN_VALUE, -0.0, 1e-7, 1e21, 123456789.125};
    /** Not more text than that in a list, so that the lines stay readable. */
    private static final int TEXTS = 3;

    private final Message message;
    private final short version;
    private final boolean nulls;
    private final Random random;

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (Class<?> kind : messages(List.of(args).subList(1, args.length)).values()) {
            Message probe = (Message) kind.getConstructor().newInstance();
            for (int version = probe.lowestSupportedVersion(); version <= probe.highestSupportedVersion(); version++) {
                for (String edge : new String[] {"nulls", "extremes"}) {
                    MessageEdges made = new MessageEdges(kind, (short) version, edge);
                    made.fill(made.message);
                    out.printf("{\"name\":\"%s\",\"kind\":\"%s\",\"version\":%d,\"case\":\"%s\",\"kafka\":\"%s\",", name(kind),
                        kind(name(kind)), version, edge, args[0]);
                    out.printf("\"json\":%s,\"hex\":\"%s\"}%n", made.json(), HexFormat.of().formatHex(made.bytes()));
                }
            }
        }
        out.flush();
    }

    /** The classes that can be written as JSON, by name. */
    private static TreeMap<String, Class<?>> messages(List<String> jars) throws IOException {
        TreeMap<String, Class<?>> found = new TreeMap<>();
        for (String jar : jars) {
            try (JarFile file = new JarFile(jar)) {
                for (JarEntry entry : Collections.list(file.entries())) {
                    String[] parts = entry.getName().split("JsonConverter\\.class");
                    if (entry.getName().endsWith("JsonConverter.class") && !entry.getName().contains("$")) {
                        add(parts[0].replace('/', '.'), found);
                    }
                }
            }
        }
        return found;
    }

    private static void add(String name, TreeMap<String, Class<?>> found) {
        try {
            Class<?> kind = Class.forName(name);
            if (Message.class.isAssignableFrom(kind)) {
                found.put(name, kind);
            }
        } catch (ReflectiveOperationException | LinkageError e) {
            System.err.println(name + ": " + e);
        }
    }

    private static String name(Class<?> kind) {
        return kind.getSimpleName().replaceFirst("(Request|Response|Header)Data$", "$1");
    }

    private static String kind(String name) {
        List<String> kinds = List.of("Request", "Response", "Header");
        return kinds.stream().filter(name::endsWith).findFirst().orElse("data").toLowerCase(Locale.ROOT);
    }

    private MessageEdges(Class<?> kind, short version, String edge) throws Exception {
        this.message = (Message) kind.getConstructor().newInstance();
        this.version = version;
        this.nulls = edge.equals("nulls");
        this.random = new Random((kind.getName() + version + edge).hashCode());
    }

    private void fill(Object struct) throws Exception {
        for (Field field : struct.getClass().getDeclaredFields()) {
            boolean isHidden = List.of("_unknownTaggedFields", "next", "prev").contains(field.getName());
            if (!isHidden && !Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                fill(struct, field);
            }
        }
    }

    private void fill(Object struct, Field field) throws Exception {
        Class<?> type = field.getType();
        if (nulls && !type.isPrimitive() && isSet(struct, field, null)) {
            return;
        }
        // JSON does not show what is in records.
        if (type.getSimpleName().endsWith("Records")) {
            return;
        }
        List<?> values = values(type);
        if (!values.isEmpty()) {
            for (Object value : values) {
                if (isSet(struct, field, value)) {
                    return;
                }
            }
        } else if (Collection.class.isAssignableFrom(type)) {
            fillList(struct, field);
        } else {
            Object inner = type.getConstructor().newInstance();
            if (isSet(struct, field, inner)) {
                fill(inner);
            }
        }
    }

    @SuppressWarnings("unchecked")
    private void fillList(Object struct, Field field) throws Exception {
        Class<?> element = elementOf(field);
        boolean isInterface = field.getType().isInterface();
        Collection<Object> list =
            isInterface ? new ArrayList<>() : (Collection<Object>) field.getType().getConstructor().newInstance();
        boolean isPlain = !values(element).isEmpty();
        boolean isText = List.of(String.class, byte[].class, ByteBuffer.class).contains(element);
        int count = isPlain && !isText && !nulls && random.nextInt(8) == 0 ? length() : random.nextInt(TEXTS);
        for (int i = 0; i < (nulls ? 1 : count); i++) {
            list.add(isPlain ? values(element).get(0) : element.getConstructor().newInstance());
        }
        List<Object> elements = new ArrayList<>(list);
        if (isSet(struct, field, list) && !isPlain) {
            for (Object inner : elements) {
                fill(inner);
            }
        }
    }

    private static Class<?> elementOf(Field field) {
        Type type = field.getGenericType() instanceof ParameterizedType
            ? field.getGenericType() : field.getType().getGenericSuperclass();
        Type element = ((ParameterizedType) type).getActualTypeArguments()[0];
        return element instanceof Class ? (Class<?>) element : byte[].class;
    }

    /** What to try, one after the other: unsigned fields have the types of larger ones. */
    private List<?> values(Class<?> type) {
        boolean up = random.nextBoolean();
        if (type == boolean.class) return List.of(up, !up);
        if (type == byte.class || type == Byte.class) return List.of(up ? Byte.MAX_VALUE : Byte.MIN_VALUE, (byte) 1);
        if (type == short.class || type == Short.class) return List.of(up ? Short.MAX_VALUE : Short.MIN_VALUE, (short) 1);
        if (type == int.class || type == Integer.class) return List.of(up ? Integer.MAX_VALUE : Integer.MIN_VALUE, 65535, 1);
        if (type == long.class || type == Long.class) return List.of(up ? Long.MAX_VALUE : Long.MIN_VALUE, 4294967295L, 1L);
        if (type == double.class) return List.of(DOUBLES[random.nextInt(DOUBLES.length)]);
        if (type == Uuid.class) return List.of(up ? new Uuid(-1, -1) : new Uuid(Long.MIN_VALUE, 0));
        if (type == String.class) return List.of(text());
        if (type == byte[].class) return List.of(bytesOf(length()));
        if (type == ByteBuffer.class) return List.of(ByteBuffer.wrap(bytesOf(length())));
        return List.of();
    }

    private int length() {
        return LENGTHS[random.nextInt(LENGTHS.length)];
    }

    private byte[] bytesOf(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) (i * 0x55);
        }
        return bytes;
    }

    /** Of an exact number of bytes, with characters of all lengths and such as JSON escapes. */
    private String text() {
        String[] parts = {"😀", "€", "é", "\\", "\"", "\u0001", "\u007f", "x"};
        StringBuilder text = new StringBuilder();
        for (int left = length(), at = 0; left > 0; at++) {
            String part = parts[at % parts.length];
            int bytes = part.getBytes(StandardCharsets.UTF_8).length;
            if (bytes <= left) {
                text.append(part);
                left -= bytes;
            }
        }
        return text.toString();
    }

    /** Sets a field, unless the version does not have it so. */
    private boolean isSet(Object struct, Field field, Object value) throws Exception {
        Object before = field.get(struct);
        try {
            setter(struct, field).invoke(struct, value);
            bytes();
            json();
            return true;
        } catch (InvocationTargetException | RuntimeException refused) {
            field.set(struct, before);
            return false;
        }
    }

    private static Method setter(Object struct, Field field) throws NoSuchMethodException {
        for (Method method : struct.getClass().getMethods()) {
            if (method.getName().equalsIgnoreCase("set" + field.getName()) && method.getParameterCount() == 1) {
                return method;
            }
        }
        throw new NoSuchMethodException(struct.getClass() + " " + field);
    }

    private byte[] bytes() {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBufferAccessor out = new ByteBufferAccessor(ByteBuffer.allocate(message.size(cache, version)));
        message.write(out, cache, version);
        return out.buffer().array();
    }

    private JsonNode json() throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        return (JsonNode) converter.getMethod("write", message.getClass(), short.class).invoke(null, message, version);
    }
}
