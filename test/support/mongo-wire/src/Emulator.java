import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.AbstractMongoBackend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.util.List;
import java.util.function.Function;

/**
 * An emulator of the MongoDB wire protocol on loopback. It is not MongoDB: see docs/database.md.
 *
 * <p>Its data is in memory and gone at the end. {@code CHANGE_STREAMS=1} in the environment lets collections be watched.
 * The port is printed as {@code port N}.
 */
public final class Emulator {
  private Emulator() {}

  /** The driver asks for wire version 9 at least, one above what the library knows. Nothing is added by saying so. */
  private record Wire(List<Integer> version, int wireVersion) implements MongoVersion {
    @Override
    public List<Integer> getVersionArray() {
      return version;
    }

    @Override
    public int getWireVersion() {
      return wireVersion;
    }
  }

  /**
   * Runs one command at a time, and replies with a copy. The library's own replies hold the stored documents themselves:
   * an update that comes before they are sent would show in them, so that two callers could be given one and the same number.
   */
  private static synchronized Document answer(MongoMessage message, Function<MongoMessage, Document> backend) {
    return backend.apply(message).cloneDeeply();
  }

  private static AbstractMongoBackend inMemory() {
    return new MemoryBackend() {
      @Override
      public Document handleMessage(MongoMessage message) {
        return answer(message, super::handleMessage);
      }
    };
  }

  public static void main(String[] args) {
    AbstractMongoBackend backend = inMemory();
    backend.version(new Wire(List.of(4, 4, 0), 9));
    if ("1".equals(System.getenv("CHANGE_STREAMS"))) {
      backend.enableOplog();
    }
    MongoServer server = new MongoServer(backend);
    server.bind("127.0.0.1", 0);
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    System.out.println("port " + server.getLocalAddress().getPort());
  }
}
