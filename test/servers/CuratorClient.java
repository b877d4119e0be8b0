import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryOneTime;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;

/**
 * Apache Curator's service discovery, driven by lines of words on standard input; each is answered by one line of
 * JSON. Arguments: ZooKeeper's host:port and the base path.
 *
 * names | query PAYLOAD-CLASS SERVICE | pick SERVICE | register SERVICE ID ADDRESS PORT | unregister SERVICE ID
 */
public class CuratorClient {
  private static final ObjectMapper json = new ObjectMapper();
  private final CuratorFramework client;
  private final String base;
  private final Map<String, ServiceDiscovery<?>> discoveries = new HashMap<>();
  private final Map<String, ServiceProvider<Object>> providers = new HashMap<>();
  private final Map<String, ServiceInstance<Object>> registered = new HashMap<>();

  private CuratorClient(CuratorFramework client, String base) {
    this.client = client;
    this.base = base;
  }

  public static void main(String[] args) throws Exception {
    CuratorFramework client = CuratorFrameworkFactory.newClient(args[0], 10_000, 5_000, new RetryOneTime(100));
    client.start();
    CuratorClient self = new CuratorClient(client, args[1]);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      Object answer;
      try {
        answer = Map.of("answer", self.answer(line.split(" ")));
      } catch (Exception error) {
        answer = Map.of("error", String.valueOf(error));
      }
      System.out.println(json.writeValueAsString(answer));
    }
    for (ServiceDiscovery<?> discovery : self.discoveries.values()) discovery.close();
    client.close();
  }

  private Object answer(String[] words) throws Exception {
    switch (words[0]) {
      case "names":
        return new TreeSet<>(discovery("java.lang.Object").queryForNames());
      case "query":
        return query(discovery(words[1]), words[2]);
      case "pick":
        ServiceInstance<?> picked = provider(words[1]).getInstance();
        return picked == null ? "none" : picked.getId();
      case "register":
        ServiceInstance<Object> instance =
            ServiceInstance.<Object>builder()
                .name(words[1])
                .id(words[2])
                .address(words[3])
                .port(Integer.parseInt(words[4]))
                .build();
        objects().registerService(instance);
        registered.put(words[2], instance);
        return words[2];
      case "unregister":
        objects().unregisterService(registered.remove(words[2]));
        return words[2];
      default:
        throw new IllegalArgumentException(words[0]);
    }
  }

  private <T> List<Object> query(ServiceDiscovery<T> discovery, String service) throws Exception {
    List<Object> found = new ArrayList<>();
    for (ServiceInstance<T> instance : discovery.queryForInstances(service)) found.add(instance);
    return found;
  }

  @SuppressWarnings("unchecked")
  private ServiceDiscovery<Object> objects() throws Exception {
    return (ServiceDiscovery<Object>) discovery("java.lang.Object");
  }

  /** A provider keeps what it knows, and watches. */
  private ServiceProvider<Object> provider(String service) throws Exception {
    if (!providers.containsKey(service)) {
      ServiceProvider<Object> provider = objects().serviceProviderBuilder().serviceName(service).build();
      provider.start();
      providers.put(service, provider);
    }
    return providers.get(service);
  }

  private ServiceDiscovery<?> discovery(String payload) throws Exception {
    if (!discoveries.containsKey(payload)) {
      discoveries.put(payload, open(Class.forName(payload)));
    }
    return discoveries.get(payload);
  }

  private <T> ServiceDiscovery<T> open(Class<T> payload) throws Exception {
    ServiceDiscovery<T> discovery =
        ServiceDiscoveryBuilder.builder(payload).client(client).basePath(base).build();
    discovery.start();
    return discovery;
  }
}
