{{- define "opsconductor.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "opsconductor.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What every pod is, whatever it does. */ -}}
{{- define "opsconductor.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add .Values.graceSeconds 60 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "opsconductor.container" -}}
image: {{ include "opsconductor.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* libpq refuses a password file that others may read, and what Kubernetes mounts belongs to root: each pod has its own copy. */ -}}
{{- define "opsconductor.database" -}}
- name: OPSCONDUCTOR_DATABASE
  value: {{ printf "%s%spassfile=/run/opsconductor/pgpass" .Values.database.url (ternary "&" "?" (contains "?" .Values.database.url)) | quote }}
{{- end }}

{{- define "opsconductor.takePassword" -}}
- name: take-password
  {{- include "opsconductor.container" . | nindent 2 }}
  command: [install, -m, "0400", /run/secrets/database/pgpass, /run/opsconductor/pgpass]
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: database, mountPath: /run/secrets/database, readOnly: true}
    - {name: own, mountPath: /run/opsconductor}
{{- end }}

{{- define "opsconductor.mounts" -}}
- {name: state, mountPath: /var/lib/opsconductor}
- {name: tmp, mountPath: /tmp}
- {name: own, mountPath: /run/opsconductor}
{{- end }}

{{- define "opsconductor.volumes" -}}
- {name: state, emptyDir: {}}
- {name: tmp, emptyDir: {}}
- name: own
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: database
  secret: {secretName: {{ required "database.passwordSecret names a Secret with a pgpass file" .Values.database.passwordSecret | quote }}, items: [{key: pgpass, path: pgpass}]}
{{- end }}

{{- define "opsconductor.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
