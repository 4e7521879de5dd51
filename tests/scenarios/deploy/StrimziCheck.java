// Reads Kubernetes resources of Strimzi's kinds into Strimzi's own classes, as its operator does, but
// refuses what the operator would only warn of: a field that they don't know. One line per problem.
//
//   java -cp 'target/tools/strimzi/*' StrimziCheck.java FILE…
//
// Not checked: rules that are no types, such as least values. The operator says those when it sees them.
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.introspect.Annotated;
import com.fasterxml.jackson.databind.introspect.JacksonAnnotationIntrospector;
import io.strimzi.api.kafka.model.kafka.Kafka;
import io.strimzi.api.kafka.model.nodepool.KafkaNodePool;
import io.strimzi.api.kafka.model.topic.KafkaTopic;
import java.io.File;
import java.util.Map;

public class StrimziCheck {
    static final Map<String, Class<?>> KINDS =
            Map.of("Kafka", Kafka.class, "KafkaNodePool", KafkaNodePool.class, "KafkaTopic", KafkaTopic.class);

    public static void main(String[] files) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        // The classes keep unknown fields aside; without that place they are errors.
        mapper.setAnnotationIntrospector(new JacksonAnnotationIntrospector() {
            @Override
            public Boolean hasAnySetter(Annotated annotated) {
                return false;
            }
        });
        mapper.enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
        for (String file : files) {
            JsonNode node = mapper.readTree(new File(file));
            String name = node.path("kind").asText() + " " + node.path("metadata").path("name").asText();
            Class<?> kind = KINDS.get(node.path("kind").asText());
            if (kind == null) {
                System.out.println(name + ": no class for this kind");
                continue;
            }
            try {
                mapper.treeToValue(node, kind);
            } catch (JsonProcessingException error) {
                System.out.println(name + ": " + error.getMessage().replace('\n', ' '));
            }
        }
    }
}
