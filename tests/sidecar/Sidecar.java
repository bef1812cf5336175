import com.google.inject.AbstractModule;
import com.google.inject.Guice;
import com.google.inject.Inject;
import com.google.inject.Injector;
import com.google.inject.Stage;
import com.google.inject.TypeLiteral;
import com.google.inject.assistedinject.Assisted;
import com.google.inject.assistedinject.AssistedInject;
import com.google.inject.multibindings.OptionalBinder;
import com.instaclustr.cassandra.CassandraModule;
import com.instaclustr.cassandra.CassandraVersion;
import com.instaclustr.esop.guice.BackuperFactory;
import com.instaclustr.esop.guice.BucketServiceFactory;
import com.instaclustr.esop.guice.RestorerFactory;
import com.instaclustr.esop.guice.StorageModules;
import com.instaclustr.esop.impl._import.ImportModule;
import com.instaclustr.esop.impl.backup.BackupModules;
import com.instaclustr.esop.impl.backup.BackupOperationRequest;
import com.instaclustr.esop.impl.backup.UploadTracker;
import com.instaclustr.esop.impl.backup.coordination.BaseBackupOperationCoordinator;
import com.instaclustr.esop.impl.hash.HashModule;
import com.instaclustr.esop.impl.hash.HashSpec;
import com.instaclustr.esop.impl.interaction.CassandraSchemaVersion;
import com.instaclustr.esop.impl.list.ListModule;
import com.instaclustr.esop.impl.remove.RemoveBackupModule;
import com.instaclustr.esop.impl.restore.RestorationStrategyResolver;
import com.instaclustr.esop.impl.restore.RestoreModules;
import com.instaclustr.esop.impl.restore.RestoreOperationRequest;
import com.instaclustr.esop.impl.restore.coordination.BaseRestoreOperationCoordinator;
import com.instaclustr.esop.topology.CassandraClusterTopology;
import com.instaclustr.guice.ServiceManagerModule;
import com.instaclustr.jackson.JacksonModule;
import com.instaclustr.operations.FunctionWithEx;
import com.instaclustr.operations.Operation;
import com.instaclustr.operations.OperationBindings;
import com.instaclustr.operations.OperationCoordinator;
import com.instaclustr.operations.OperationRequest;
import com.instaclustr.operations.OperationsModule;
import com.instaclustr.picocli.typeconverter.CassandraJMXServiceURLTypeConverter;
import com.instaclustr.sidecar.http.JerseyHttpServerModule;
import com.instaclustr.threading.ExecutorsModule;
import com.instaclustr.version.Version;
import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import javax.inject.Provider;
import javax.ws.rs.GET;
import javax.ws.rs.Path;
import javax.ws.rs.PathParam;
import javax.ws.rs.Produces;
import javax.ws.rs.core.MediaType;
import javax.ws.rs.core.Response;
import jmx.org.apache.cassandra.CassandraJMXConnectionInfo;
import jmx.org.apache.cassandra.service.CassandraJMXService;
import jmx.org.apache.cassandra.service.cassandra3.StorageServiceMBean;
import jmx.org.apache.cassandra.service.cassandra4.Cassandra4StorageServiceMBean;
import org.awaitility.Awaitility;
import org.glassfish.jersey.server.ResourceConfig;

/**
 * The sidecar of one Cassandra node, for tests: Esop, the engine of Icarus, behind Icarus' REST API.
 *
 * <p>Icarus itself is no published package; its engine and its server library are. Operations of one node are done
 * by Esop's own code, unchanged. What Icarus adds to it, the coordination of a whole cluster, is not here: a request
 * for it fails.
 *
 * <p>{@code java Sidecar ADDRESS:PORT JMX_ADDRESS:PORT EXPIRATION_SECONDS}. It stops on SIGTERM. With the system
 * property {@code kubernetes.client=true} and KUBECONFIG it reads Secrets. Esop looks whether something is done a
 * second or five after it began with it; with the property {@code first.look} it looks so many milliseconds after.
 * The property {@code icarus.version} is the version that it tells.
 */
public final class Sidecar {
    /** Starts the server and stays. */
    public static void main(String[] arguments) throws Exception {
        String[] listen = arguments[0].split(":");
        Integer firstLook = Integer.getInteger("first.look");
        if (firstLook != null) {
            Awaitility.setDefaultPollDelay(firstLook, TimeUnit.MILLISECONDS);
        }
        CassandraJMXConnectionInfo jmx = new CassandraJMXConnectionInfo(
            null, null, null, new CassandraJMXServiceURLTypeConverter().convert(arguments[1]),
            null, null, null, null, false);
        Injector injector = Guice.createInjector(
            Stage.PRODUCTION,
            new CassandraModule(jmx),
            new JacksonModule(),
            new ExecutorsModule(),
            new ServiceManagerModule(),
            new OperationsModule(Long.parseLong(arguments[2])),
            new StorageModules(),
            new HashModule(new HashSpec()),
            new BackupModules.BackupModule(),
            new BackupModules.CommitlogBackupModule(),
            new BackupModules.UploadingModule(),
            new RestoreModules.RestoreModule(),
            new RestoreModules.RestorationStrategyModule(),
            new RestoreModules.RestoreCommitlogModule(),
            new RestoreModules.DownloadingModule(),
            new ImportModule(),
            new ListModule(),
            new RemoveBackupModule(),
            new JerseyHttpServerModule(
                new InetSocketAddress(listen[0], Integer.parseInt(listen[1])), false),
            new Own());
        injector.getInstance(ResourceConfig.class).register(new Node(injector));
        injector.getInstance(com.instaclustr.guice.Application.class).call();
    }

    private Sidecar() {
    }

    /** What Icarus binds beside Esop's modules. */
    static final class Own extends AbstractModule {
        @Override
        protected void configure() {
            // Esop wants them bound; over JMX nothing asks for them.
            bind(StorageServiceMBean.class).toProvider(() -> null);
            bind(Cassandra4StorageServiceMBean.class).toProvider(() -> null);
            OperationBindings.installOperationBindings(
                binder(), "refresh", RefreshRequest.class, Refresh.class);
            // Esop's default coordinators give every tag another stamp; those of Icarus do not.
            OptionalBinder.newOptionalBinder(
                binder(), new TypeLiteral<OperationCoordinator<BackupOperationRequest>>() { })
                .setBinding().to(Backup.class);
            OptionalBinder.newOptionalBinder(
                binder(), new TypeLiteral<OperationCoordinator<RestoreOperationRequest>>() { })
                .setBinding().to(Restore.class);
        }
    }

    /** A backup of this node. */
    public static final class Backup extends BaseBackupOperationCoordinator {
        @Inject
        public Backup(CassandraJMXService jmx, Provider<CassandraVersion> version,
                      Map<String, BackuperFactory> backupers, Map<String, BucketServiceFactory> buckets,
                      ObjectMapper mapper, UploadTracker tracker, HashSpec hash) {
            super(jmx, version, backupers, buckets, mapper, tracker, hash);
        }

        @Override
        public void coordinate(Operation<BackupOperationRequest> operation) {
            if (operation.request.globalRequest) {
                operation.addError(Operation.Error.from(global()));
            } else {
                super.coordinate(operation);
            }
        }
    }

    /** A phase of a restore on this node; one at a time, which is Icarus' own rule and not Esop's. */
    public static final class Restore extends BaseRestoreOperationCoordinator {
        private static final AtomicInteger RUNNING = new AtomicInteger();

        @Inject
        public Restore(Map<String, RestorerFactory> restorers, RestorationStrategyResolver strategies) {
            super(restorers, strategies);
        }

        @Override
        public void coordinate(Operation<RestoreOperationRequest> operation)
            throws OperationCoordinatorException {
            try {
                int running = RUNNING.incrementAndGet();
                if (operation.request.globalRequest) {
                    operation.addError(Operation.Error.from(global()));
                } else if (running > 2) {
                    operation.addError(refused("There are more than two concurrent restore operations running!"));
                } else if (running == 2) {
                    operation.addError(
                        refused("We can not run two normal restoration requests simultaneously."));
                } else {
                    super.coordinate(operation);
                }
            } finally {
                RUNNING.decrementAndGet();
            }
        }

        private static Operation.Error refused(String why) {
            return Operation.Error.from(new IllegalStateException(why));
        }
    }

    /** Which table is refreshed. */
    public static final class RefreshRequest extends OperationRequest {
        public final String keyspace;
        public final String table;

        @JsonCreator
        public RefreshRequest(@JsonProperty("type") String type, @JsonProperty("keyspace") String keyspace,
                              @JsonProperty("table") String table) {
            this.type = type;
            this.keyspace = keyspace;
            this.table = table;
        }
    }

    /** Has Cassandra load what lies in the directory of a table; Esop has the call and no operation for it. */
    public static final class Refresh extends Operation<RefreshRequest> {
        private final CassandraJMXService jmx;

        @AssistedInject
        public Refresh(CassandraJMXService jmx, @Assisted RefreshRequest request) {
            super(request);
            this.jmx = jmx;
        }

        @Override
        protected void run0() throws Exception {
            jmx.doWithStorageServiceMBean(new FunctionWithEx<StorageServiceMBean, Void>() {
                @Override
                public Void apply(StorageServiceMBean bean) throws Exception {
                    bean.loadNewSSTables(request.keyspace, request.table);
                    return null;
                }
            });
        }
    }

    private static Exception global() {
        return new UnsupportedOperationException("This sidecar of the tests coordinates no cluster.");
    }

    /** What the sidecar tells of its node and of the ring. */
    @Path("/")
    @Produces(MediaType.APPLICATION_JSON)
    public static final class Node {
        private final CassandraJMXService jmx;
        private final com.google.inject.Provider<CassandraVersion> cassandra;

        Node(Injector injector) {
            jmx = injector.getInstance(CassandraJMXService.class);
            cassandra = injector.getProvider(CassandraVersion.class);
        }

        @GET
        @Path("status")
        public Response status() {
            try {
                String mode = jmx.doWithStorageServiceMBean(new FunctionWithEx<StorageServiceMBean, String>() {
                    @Override
                    public String apply(StorageServiceMBean bean) {
                        return bean.getOperationMode();
                    }
                });
                return Response.ok(Map.of("nodeState", mode)).build();
            } catch (Exception exception) {
                return Response.serverError().entity(Map.of("exception", exception)).build();
            }
        }

        @GET
        @Path("version")
        public Version version() {
            return new Version("instaclustr-icarus " + System.getProperty("icarus.version"), "", "");
        }

        @GET
        @Path("version/cassandra")
        public CassandraVersion cassandraVersion() {
            return cassandra.get();
        }

        @GET
        @Path("version/schema")
        public Response schemaVersion() {
            try {
                return Response.ok(Map.of("schemaVersion", new CassandraSchemaVersion(jmx).act())).build();
            } catch (Exception exception) {
                return Response.serverError().entity(exception).build();
            }
        }

        @GET
        @Path("topology")
        public Response topology() {
            return ring(null);
        }

        @GET
        @Path("topology/{dc}")
        public Response topology(@PathParam("dc") String datacenter) {
            return ring(datacenter);
        }

        private Response ring(String datacenter) {
            try {
                return Response.ok(new CassandraClusterTopology(jmx, datacenter).act()).build();
            } catch (Exception exception) {
                return Response.serverError().entity(exception).build();
            }
        }
    }
}
