import com.amazonaws.ClientConfiguration;
import com.amazonaws.Protocol;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.regions.Regions;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Prints what the AWS library in the engine of the sidecar accepts: `region NAME` for each name of Regions.fromName, and
 * `endpoint SUFFIX METHOD PATH` for the request that an endpoint host:port with this suffix causes.
 */
public final class AwsLibrary {
    public static void main(String[] arguments) throws Exception {
        for (Regions region : Regions.values()) {
            System.out.println("region " + Regions.fromName(region.getName()).getName());
        }
        for (String name : arguments) {
            try {
                Regions.fromName(name);
                System.out.println("known " + name);
            } catch (IllegalArgumentException unknown) {
                System.out.println("unknown " + name);
            }
        }
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        CopyOnWriteArrayList<String> requests = new CopyOnWriteArrayList<>();
        server.createContext("/", exchange -> {
            requests.add(exchange.getRequestMethod() + " " + exchange.getRequestURI());
            exchange.getRequestBody().readAllBytes();
            // The MD5 sum of the object, which the library compares.
            exchange.getResponseHeaders().add("ETag", "\"900150983cd24fb0d6963f7d28e17f72\"");
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
        });
        server.start();
        for (String suffix : new String[] {"", "/", "//"}) {
            requests.clear();
            AmazonS3ClientBuilder.standard()
                .withClientConfiguration(new ClientConfiguration().withProtocol(Protocol.HTTP))
                .withCredentials(new AWSStaticCredentialsProvider(new BasicAWSCredentials("a", "b")))
                .withEndpointConfiguration(
                    new EndpointConfiguration("127.0.0.1:" + server.getAddress().getPort() + suffix, "eu-west-1"))
                .withPathStyleAccessEnabled(true)
                .build()
                .putObject("bucket", "key", "abc");
            System.out.println("endpoint '" + suffix + "' " + requests.get(0));
        }
        server.stop(0);
    }
}
