package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var groupVersion = schema.GroupVersion{Group: "db.orange.com", Version: "v2"}

// CassandraBackup is the object that is judged.
type CassandraBackup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              BackupSpec   `json:"spec"`
	Status            BackupStatus `json:"status,omitempty"`
}

// BackupSpec is what CassKop's CRD has.
type BackupSpec struct {
	CassandraCluster      string `json:"cassandraCluster"`
	Datacenter            string `json:"datacenter,omitempty"`
	StorageLocation       string `json:"storageLocation"`
	Schedule              string `json:"schedule,omitempty"`
	SnapshotTag           string `json:"snapshotTag"`
	Duration              string `json:"duration,omitempty"`
	Bandwidth             string `json:"bandwidth,omitempty"`
	ConcurrentConnections int32  `json:"concurrentConnections,omitempty"`
	Entities              string `json:"entities,omitempty"`
	Secret                string `json:"secret,omitempty"`
}

// BackupStatus is written by CassKop.
type BackupStatus struct {
	Condition         *BackupCondition `json:"condition,omitempty"`
	CoordinatorMember string           `json:"coordinatorMember,omitempty"`
	ID                string           `json:"id,omitempty"`
	Progress          string           `json:"progress,omitempty"`
	TimeCreated       string           `json:"timeCreated,omitempty"`
	TimeStarted       string           `json:"timeStarted,omitempty"`
	TimeCompleted     string           `json:"timeCompleted,omitempty"`
}

// BackupCondition is CassKop's single condition.
type BackupCondition struct {
	Type               string         `json:"type"`
	LastTransitionTime string         `json:"lastTransitionTime,omitempty"`
	FailureCause       []FailureCause `json:"failureCause,omitempty"`
}

// FailureCause is the reason that one node gave.
type FailureCause struct {
	Source  string `json:"source,omitempty"`
	Message string `json:"message,omitempty"`
}

// CassandraCluster is the part of it that the checks read.
type CassandraCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ClusterSpec   `json:"spec,omitempty"`
	Status            ClusterStatus `json:"status,omitempty"`
}

// ClusterSpec has the topology and the sidecar.
type ClusterSpec struct {
	Topology        Topology `json:"topology,omitempty"`
	BackRestSidecar *Sidecar `json:"backRestSidecar,omitempty"`
}

// Topology lists the datacenters; none means dc1.
type Topology struct {
	DC []Datacenter `json:"dc,omitempty"`
}

// Datacenter has a name.
type Datacenter struct {
	Name string `json:"name"`
}

// Sidecar is on unless it says otherwise.
type Sidecar struct {
	Enabled *bool  `json:"enabled,omitempty"`
	Image   string `json:"image,omitempty"`
}

// ClusterStatus has the phase.
type ClusterStatus struct {
	Phase string `json:"phase,omitempty"`
}

// CassandraClusterList is what the informer lists.
type CassandraClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CassandraCluster `json:"items"`
}

// DeepCopyObject is what controller-gen writes.
func (b *CassandraBackup) DeepCopyObject() runtime.Object {
	out := *b
	out.ObjectMeta = *b.ObjectMeta.DeepCopy()
	if b.Status.Condition != nil {
		condition := *b.Status.Condition
		condition.FailureCause = append([]FailureCause(nil), condition.FailureCause...)
		out.Status.Condition = &condition
	}
	return &out
}

func (c *CassandraCluster) deepCopyInto(out *CassandraCluster) {
	*out = *c
	out.ObjectMeta = *c.ObjectMeta.DeepCopy()
	out.Spec.Topology.DC = append([]Datacenter(nil), c.Spec.Topology.DC...)
	if c.Spec.BackRestSidecar != nil {
		sidecar := *c.Spec.BackRestSidecar
		if sidecar.Enabled != nil {
			enabled := *sidecar.Enabled
			sidecar.Enabled = &enabled
		}
		out.Spec.BackRestSidecar = &sidecar
	}
}

// DeepCopyObject is what controller-gen writes.
func (c *CassandraCluster) DeepCopyObject() runtime.Object {
	out := new(CassandraCluster)
	c.deepCopyInto(out)
	return out
}

// DeepCopyObject is what controller-gen writes.
func (l *CassandraClusterList) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = make([]CassandraCluster, len(l.Items))
	for i := range l.Items {
		l.Items[i].deepCopyInto(&out.Items[i])
	}
	return &out
}

func addToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(groupVersion, &CassandraBackup{}, &CassandraCluster{}, &CassandraClusterList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	return nil
}
