package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var (
	cloudLocation = regexp.MustCompile(`^([a-z0-9]+)://([^/\s]+)(/[^/\s]+/[^/\s]+/[^/\s]+)?/?$`)
	fileLocation  = regexp.MustCompile(`^file://(/[^/\s]+)+/[^/\s]+/[^/\s]+/[^/\s]+/[^/\s]+/?$`)
	separators    = regexp.MustCompile(`[\s,]+`)
	name          = regexp.MustCompile(`^\w{1,48}$`)
	snapshotTag   = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+-]{0,198}$`)
	bandwidth     = regexp.MustCompile(`(?i)^\d+[kmg]?$`)
	providers     = []string{"s3", "azure", "gcp", "oracle", "minio", "ceph", "file"}
)

// validator judges a CassandraBackup by itself and by what the manager's cache knows.
type validator struct {
	reader client.Reader
}

var _ admission.Validator[*CassandraBackup] = &validator{}

// ValidateCreate reports every mistake at once.
func (v *validator) ValidateCreate(ctx context.Context, backup *CassandraBackup) (admission.Warnings, error) {
	spec := field.NewPath("spec")
	warnings, errs := validateSpec(spec, &backup.Spec)
	found, err := v.validateCluster(ctx, spec, backup)
	if err != nil {
		return warnings, err
	}
	errs = append(errs, found...)
	found, err = v.validateSecret(ctx, spec, backup)
	if err != nil {
		return warnings, err
	}
	errs = append(errs, found...)
	if len(errs) == 0 {
		return warnings, nil
	}
	return warnings, apierrors.NewInvalid(groupVersion.WithKind("CassandraBackup").GroupKind(), backup.Name, errs)
}

// ValidateUpdate is not measured.
func (v *validator) ValidateUpdate(ctx context.Context, _, backup *CassandraBackup) (admission.Warnings, error) {
	return v.ValidateCreate(ctx, backup)
}

// ValidateDelete is not measured.
func (v *validator) ValidateDelete(context.Context, *CassandraBackup) (admission.Warnings, error) {
	return nil, nil
}

func validateSpec(path *field.Path, spec *BackupSpec) (admission.Warnings, field.ErrorList) {
	var warnings admission.Warnings
	var errs field.ErrorList
	if err := validateLocation(path.Child("storageLocation"), spec.StorageLocation); err != nil {
		errs = append(errs, err)
	}
	if spec.Schedule != "" {
		if err := validateSchedule(path.Child("schedule"), spec.Schedule); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, validateEntities(path.Child("entities"), spec.Entities)...)
	if !snapshotTag.MatchString(spec.SnapshotTag) {
		errs = append(errs, field.Invalid(path.Child("snapshotTag"), spec.SnapshotTag,
			"must be letters, digits and ._+-, at most 199 of them"))
	}
	if spec.ConcurrentConnections < 0 {
		errs = append(errs, field.Invalid(path.Child("concurrentConnections"), spec.ConcurrentConnections,
			"must not be negative"))
	}
	if spec.Duration != "" {
		if _, err := time.ParseDuration(spec.Duration); err != nil {
			errs = append(errs, field.Invalid(path.Child("duration"), spec.Duration, err.Error()))
		}
	}
	if spec.Bandwidth != "" && !bandwidth.MatchString(strings.ReplaceAll(spec.Bandwidth, " ", "")) {
		errs = append(errs, field.Invalid(path.Child("bandwidth"), spec.Bandwidth, "must be a number and K, M or G"))
	}
	return warnings, errs
}

func provider(location string) string {
	scheme, _, _ := strings.Cut(location, "://")
	return scheme
}

func validateLocation(path *field.Path, location string) *field.Error {
	scheme := provider(location)
	if !slices.Contains(providers, scheme) {
		return field.NotSupported(path, scheme, providers)
	}
	form := cloudLocation
	if scheme == "file" {
		form = fileLocation
	}
	if !form.MatchString(location) {
		return field.Invalid(path, location, "must be PROVIDER://BUCKET or file:///DIRECTORY/BUCKET/CLUSTER/DC/NODE")
	}
	return nil
}

// validateSchedule guards the parser's panic on a zone with nothing behind it.
func validateSchedule(path *field.Path, schedule string) *field.Error {
	if strings.HasPrefix(schedule, "TZ=") || strings.HasPrefix(schedule, "CRON_TZ=") {
		if !strings.Contains(schedule, " ") {
			return field.Invalid(path, schedule, "expected a schedule behind the time zone")
		}
	}
	if _, err := cron.ParseStandard(schedule); err != nil {
		return field.Invalid(path, schedule, err.Error())
	}
	return nil
}

func validateEntities(path *field.Path, entities string) field.ErrorList {
	var errs field.ErrorList
	keyspaces, tables := 0, 0
	for _, item := range separators.Split(entities, -1) {
		if item == "" {
			continue
		}
		keyspace, table, isTable := strings.Cut(item, ".")
		if !name.MatchString(keyspace) || isTable && !name.MatchString(table) {
			errs = append(errs, field.Invalid(path, item, "must be KEYSPACE or KEYSPACE.TABLE"))
			continue
		}
		if isTable {
			tables++
		} else {
			keyspaces++
		}
	}
	if keyspaces > 0 && tables > 0 {
		errs = append(errs, field.Invalid(path, entities, "keyspaces and tables cannot be mixed"))
	}
	return errs
}

func (v *validator) validateCluster(ctx context.Context, path *field.Path, backup *CassandraBackup) (field.ErrorList, error) {
	cluster := &CassandraCluster{}
	key := types.NamespacedName{Namespace: backup.Namespace, Name: backup.Spec.CassandraCluster}
	if err := v.reader.Get(ctx, key, cluster); apierrors.IsNotFound(err) {
		return field.ErrorList{field.NotFound(path.Child("cassandraCluster"), key.Name)}, nil
	} else if err != nil {
		return nil, err
	}
	var errs field.ErrorList
	if wanted := backup.Spec.Datacenter; wanted != "" {
		datacenters := []string{"dc1"}
		if len(cluster.Spec.Topology.DC) > 0 {
			datacenters = datacenters[:0]
			for _, dc := range cluster.Spec.Topology.DC {
				datacenters = append(datacenters, dc.Name)
			}
		}
		if !slices.Contains(datacenters, wanted) {
			errs = append(errs, field.NotSupported(path.Child("datacenter"), wanted, datacenters))
		}
	}
	if sidecar := cluster.Spec.BackRestSidecar; sidecar != nil && sidecar.Enabled != nil && !*sidecar.Enabled {
		errs = append(errs, field.Invalid(path.Child("cassandraCluster"), key.Name, "its backup sidecar is disabled"))
	}
	return errs, nil
}

func (v *validator) validateSecret(ctx context.Context, path *field.Path, backup *CassandraBackup) (field.ErrorList, error) {
	scheme := provider(backup.Spec.StorageLocation)
	path = path.Child("secret")
	if scheme == "file" {
		return nil, nil
	}
	if backup.Spec.Secret == "" {
		return field.ErrorList{field.Required(path, "CassKop refuses a backup without one")}, nil
	}
	secret := &corev1.Secret{}
	key := types.NamespacedName{Namespace: backup.Namespace, Name: backup.Spec.Secret}
	if err := v.reader.Get(ctx, key, secret); apierrors.IsNotFound(err) {
		return field.ErrorList{field.NotFound(path, key.Name)}, nil
	} else if err != nil {
		return nil, err
	}
	var errs field.ErrorList
	for _, wanted := range requiredKeys(scheme) {
		if value, ok := secret.Data[wanted]; !ok {
			errs = append(errs, field.Invalid(path, key.Name, fmt.Sprintf("has no key %q", wanted)))
		} else if len(value) == 0 {
			errs = append(errs, field.Invalid(path, key.Name, fmt.Sprintf("key %q is empty", wanted)))
		}
	}
	if endpoint, ok := secret.Data["awsendpoint"]; ok {
		if _, err := url.Parse(string(endpoint)); err != nil {
			errs = append(errs, field.Invalid(path, key.Name, `key "awsendpoint" is no URL`))
		}
	}
	if account, ok := secret.Data["gcp"]; ok && scheme == "gcp" {
		var document struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(account, &document) != nil || document.Type == "" {
			errs = append(errs, field.Invalid(path, key.Name, `key "gcp" is no service account`))
		}
	}
	return errs, nil
}

func requiredKeys(scheme string) []string {
	switch scheme {
	case "s3", "oracle", "minio":
		return []string{"awsaccesskeyid", "awssecretaccesskey", "awsregion"}
	case "ceph":
		return []string{"awsaccesskeyid", "awssecretaccesskey", "awsendpoint"}
	case "azure":
		return []string{"azurestorageaccount", "azurestoragekey"}
	case "gcp":
		return []string{"gcp"}
	}
	return nil
}
