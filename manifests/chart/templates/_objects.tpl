{{- /* Returns the text of a file, with the namespace of the release. Takes root, folder and name. */ -}}
{{- define "cassgate.file" -}}
{{- $path := printf "files/%s/%s" (index . 1) (index . 2) -}}
{{- $text := (index . 0).Files.Get $path | required (printf "the chart has no %s: its links into manifests/ are broken" $path) -}}
{{- $text | replace "cassgate-system" (index . 0).Release.Namespace -}}
{{- end -}}

{{- /* Renders the objects of a text according to the values. Takes root, text and optionally a namespace. */ -}}
{{- define "cassgate.objects" -}}
{{- $root := .root -}}
{{- $namespace := .namespace -}}
{{- range splitList "\n---\n" .text -}}
{{- $object := fromYaml . -}}
{{- with $object.Error }}{{ fail . }}{{ end -}}
{{- if eq (include "cassgate.wanted" (dict "object" $object "values" $root.Values)) "true" -}}
{{- with $namespace }}{{ $_ := set $object.metadata "namespace" . }}{{ end -}}
{{- include "cassgate.shape" (dict "object" $object "root" $root) }}
---
{{ toYaml $object }}
{{ end -}}
{{- end -}}
{{- end -}}

{{- /* Returns "true" if the object is part of the release. */ -}}
{{- define "cassgate.wanted" -}}
{{- $kind := .object.kind -}}
{{- if not $kind }}false
{{- else if eq $kind "Namespace" }}false
{{- else if and (eq $kind "NetworkPolicy") (not .values.networkPolicy.enabled) }}false
{{- else if and (eq $kind "PodDisruptionBudget") (lt (int .values.replicas) 2) }}false
{{- else if and (eq $kind "ClusterRoleBinding") (eq .object.metadata.name "cassgate-secrets") (not .values.secrets.allNamespaces) }}false
{{- else }}true
{{- end -}}
{{- end -}}

{{- /* Changes the object in place, and prints nothing. */ -}}
{{- define "cassgate.shape" -}}
{{- $kind := .object.kind -}}
{{- $labels := dict "app.kubernetes.io/part-of" "cassgate" "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $labels "app.kubernetes.io/instance" .root.Release.Name -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) -}}
{{- if has $kind (list "ServiceMonitor" "PrometheusRule") }}{{ $labels = merge $labels .root.Values.monitoring.labels }}{{ end -}}
{{- $_ := set .object.metadata "labels" (merge $labels (.object.metadata.labels | default dict)) -}}
{{- if eq $kind "Deployment" }}{{ include "cassgate.deployment" . }}{{ end -}}
{{- if hasSuffix "WebhookConfiguration" $kind }}{{ include "cassgate.webhooks" . }}{{ end -}}
{{- if eq $kind "NetworkPolicy" }}{{ include "cassgate.networkPolicy" . }}{{ end -}}
{{- if eq $kind "CustomResourceDefinition" -}}
{{- $_ := set .object.metadata "annotations" (dict "helm.sh/resource-policy" "keep") -}}
{{- end -}}
{{- end -}}

{{- define "cassgate.deployment" -}}
{{- $values := .root.Values -}}
{{- $template := .object.spec.template -}}
{{- $pod := $template.spec -}}
{{- $container := first $pod.containers -}}
{{- $_ := set .object.spec "replicas" $values.replicas -}}
{{- $_ := set $template.metadata "labels" (merge $template.metadata.labels (dict "app.kubernetes.io/part-of" "cassgate") $values.podLabels) -}}
{{- with $values.podAnnotations }}{{ $_ := set $template.metadata "annotations" . }}{{ end -}}
{{- range list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- $name := . -}}
{{- with index $values $name }}{{ $_ := set $pod $name . }}{{ end -}}
{{- end -}}
{{- $_ := set $container "image" (printf "%s:%s" $values.image.repository ($values.image.tag | default .root.Chart.AppVersion)) -}}
{{- with $values.image.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end -}}
{{- with $values.resources }}{{ $_ := set $container "resources" . }}{{ end -}}
{{- $_ := set $container "env" (concat (include "cassgate.env" (dict "container" $container "values" $values) | fromYamlArray) $values.extraEnv) -}}
{{- if eq $values.tls.mode "self" -}}
{{- $_ := unset $pod "volumes" -}}
{{- $_ := unset $container "volumeMounts" -}}
{{- else if eq $values.tls.mode "files" -}}
{{- $_ := set (first $pod.volumes).secret "secretName" $values.tls.secretName -}}
{{- end -}}
{{- end -}}

{{- /* Returns the flags of cassgate as a list of environment variables. */ -}}
{{- define "cassgate.env" -}}
{{- $env := dict -}}
{{- range .container.env }}{{ $_ := set $env .name .value }}{{ end -}}
{{- $_ := set $env "CASSGATE_EXECUTOR" .values.executor -}}
{{- if eq .values.tls.mode "self" -}}
{{- $_ := set $env "CASSGATE_TLS" "self" -}}
{{- $_ := unset $env "CASSGATE_TLS_DIR" -}}
{{- end -}}
{{- range $name, $value := .values.log }}{{ with $value }}{{ $_ := set $env (printf "CASSGATE_LOG_%s" (upper $name)) . }}{{ end }}{{ end -}}
{{- range $name, $value := .values.policy }}{{ $_ := set $env (printf "CASSGATE_%s" (snakecase $name | upper)) (toString $value) }}{{ end -}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ quote $value }}
{{- end }}
{{- end -}}

{{- define "cassgate.webhooks" -}}
{{- $values := .root.Values -}}
{{- if eq $values.tls.mode "cert-manager" -}}
{{- $patch := include "cassgate.file" (list .root "components/cert-manager" "webhooks.yaml") | fromYaml -}}
{{- $_ := set .object.metadata "annotations" $patch.metadata.annotations -}}
{{- end -}}
{{- range .object.webhooks -}}
{{- if eq .failurePolicy "Fail" }}{{ $_ := set . "failurePolicy" $values.webhook.failurePolicy }}{{ end -}}
{{- if and (eq $values.tls.mode "files") $values.tls.ca }}{{ $_ := set .clientConfig "caBundle" (b64enc $values.tls.ca) }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "cassgate.networkPolicy" -}}
{{- $egress := .object.spec.egress -}}
{{- range .root.Values.networkPolicy.apiServerPorts -}}
{{- $_ := set (last $egress) "ports" (append (last $egress).ports (dict "port" .)) -}}
{{- end -}}
{{- if eq .root.Values.executor "cassgate" -}}
{{- range include "cassgate.file" (list .root "components/executor" "networkpolicy.yaml") | fromYamlArray -}}
{{- $egress = append $egress .value -}}
{{- end -}}
{{- end -}}
{{- $_ := set .object.spec "egress" $egress -}}
{{- end -}}
