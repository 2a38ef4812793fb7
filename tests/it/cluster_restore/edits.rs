//! Objects, and the same after somebody was at them.

pub const PLAIN_OBJECTS: [(&str, &str); 8] = [
    ("apis/apps/v1/deployments", "web"),
    ("apis/networking.k8s.io/v1/networkpolicies", "np"),
    ("apis/autoscaling/v2/horizontalpodautoscalers", "hpa"),
    ("apis/networking.k8s.io/v1/ingresses", "ing"),
    ("api/v1/limitranges", "lr"),
    ("apis/batch/v1/cronjobs", "cron"),
    ("api/v1/configmaps", "map"),
    ("apis/apps/v1/daemonsets", "careful"),
];

pub const PLAIN: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      initContainers: [{name: i, image: i}]
      containers: [{name: a, image: a, ports: [{containerPort: 80}], volumeMounts: [{name: v, mountPath: /v}]}]
      volumes: [{name: v, emptyDir: {}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {a: b}}}]}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: hpa}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 3}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing}
spec: {defaultBackend: {service: {name: a, port: {number: 80}}}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: lr}
spec: {limits: [{type: Container, max: {cpu: "2"}}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: map}
data: {k: "1"}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: careful}
spec:
  selector: {matchLabels: {app: c}}
  template:
    metadata: {labels: {app: c}}
    spec:
      automountServiceAccountToken: false
      nodeSelector: {none: such}
      containers: [{name: a, image: a, securityContext: {allowPrivilegeEscalation: false}}]
"#;

/// Each field was once taken for one that a server fills in, or for nothing.
pub const PLAIN_EDITED: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      initContainers: [{name: i, image: i, restartPolicy: Always}]
      containers: [{name: a, image: a, resources: {requests: {cpu: "7"}}, ports: [{containerPort: 80, hostPort: 80}], volumeMounts: [{name: v, mountPath: /v, readOnly: true}]}]
      volumes: [{name: v, emptyDir: {}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}]}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: hpa}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 3, behavior: {scaleUp: {selectPolicy: Disabled}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing}
spec: {ingressClassName: evil, defaultBackend: {service: {name: a, port: {number: 80}}}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: lr}
spec: {limits: [{type: Container, default: {cpu: "1"}, max: {cpu: "2"}}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {parallelism: 50, completions: 50, ttlSecondsAfterFinished: 0, template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: map}
data: {k: "1", empty: ""}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: careful}
spec:
  selector: {matchLabels: {app: c}}
  template:
    metadata: {labels: {app: c}}
    spec:
      nodeSelector: {none: such}
      containers: [{name: a, image: a}]
"#;

pub const EITHER_OBJECTS: [(&str, &str); 16] = [
    ("apis/policy/v1/poddisruptionbudgets", "pdb"),
    ("apis/policy/v1/poddisruptionbudgets", "none"),
    ("apis/apps/v1/deployments", "recreate"),
    ("apis/apps/v1/deployments", "rolling"),
    ("apis/apps/v1/daemonsets", "ondelete"),
    ("apis/apps/v1/statefulsets", "ondelete"),
    ("api/v1/services", "ext"),
    ("api/v1/services", "cip"),
    ("api/v1/services", "lb"),
    ("api/v1/services", "nsel"),
    ("api/v1/services", "np"),
    ("apis/networking.k8s.io/v1/ingresses", "ing"),
    ("apis/networking.k8s.io/v1/networkpolicies", "np"),
    ("apis/autoscaling/v2/horizontalpodautoscalers", "hpa"),
    ("apis/batch/v1/cronjobs", "cron"),
    ("api/v1/configmaps", "bin"),
];

pub const EITHER: &str = r#"
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: pdb}
spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: none}
spec: {minAvailable: 0, selector: {matchLabels: {a: c}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: recreate}
spec:
  replicas: 0
  strategy: {type: Recreate}
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {volumes: [{name: v, emptyDir: {}}], containers: [{name: a, image: a, livenessProbe: {httpGet: {path: /, port: 80}}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling}
spec:
  replicas: 0
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ondelete}
spec:
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {app: ab}}
  template: {metadata: {labels: {app: ab}}, spec: {nodeSelector: {none: such}, containers: [{name: a, image: a}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ondelete}
spec:
  replicas: 0
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {app: ac}}
  template: {metadata: {labels: {app: ac}}, spec: {containers: [{name: a, image: a}]}}
---
apiVersion: v1
kind: Service
metadata: {name: ext}
spec: {type: ExternalName, externalName: a.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: cip}
spec: {selector: {a: b}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: lb}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {a: b}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nsel}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: np}
spec: {type: NodePort, selector: {a: b}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing}
spec: {defaultBackend: {service: {name: a, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: hpa}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: rolling}, maxReplicas: 1}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: bin}
data: {k: text}
"#;

pub const EITHER_EDITED: &str = r#"
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: pdb}
spec: {maxUnavailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: {a: b}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: none}
spec: {maxUnavailable: 0, selector: {matchLabels: {a: c}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: recreate}
spec:
  replicas: 0
  strategy: {type: RollingUpdate}
  paused: true
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}, annotations: {kubectl.kubernetes.io/restartedAt: "x", evil: "y"}}, spec: {hostPID: true, dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1]}, volumes: [{name: v, hostPath: {path: /}}], containers: [{name: a, image: a, stdin: true, livenessProbe: {exec: {command: [a]}}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling}
spec:
  replicas: 0
  strategy: {type: Recreate}
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a, x: "y"}}, spec: {serviceAccountName: default, automountServiceAccountToken: false, shareProcessNamespace: true, initContainers: [{name: i, image: i}], containers: [{name: a, image: a}], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}, topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ondelete}
spec:
  updateStrategy: {type: RollingUpdate}
  selector: {matchLabels: {app: ab}}
  template: {metadata: {labels: {app: ab}}, spec: {nodeSelector: {none: such}, containers: [{name: a, image: a}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ondelete}
spec:
  replicas: 0
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}
  ordinals: {start: 5}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}
  selector: {matchLabels: {app: ac}}
  template: {metadata: {labels: {app: ac}}, spec: {containers: [{name: a, image: a}]}}
---
apiVersion: v1
kind: Service
metadata: {name: ext}
spec: {selector: {a: b}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: cip}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, loadBalancerClass: x.example.com/y, selector: {a: b}, ports: [{port: 80}], externalIPs: [192.0.2.1], loadBalancerSourceRanges: [10.0.0.0/8]}
---
apiVersion: v1
kind: Service
metadata: {name: lb}
spec: {selector: {a: b}, ports: [{port: 80}], trafficDistribution: PreferClose}
---
apiVersion: v1
kind: Service
metadata: {name: nsel}
spec: {selector: {evil: x}, ports: [{port: 80, appProtocol: http}], sessionAffinity: ClientIP, internalTrafficPolicy: Local}
---
apiVersion: v1
kind: Service
metadata: {name: np}
spec: {type: ExternalName, externalName: evil.example.com}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing}
spec: {ingressClassName: default, defaultBackend: {resource: {kind: A, name: b, apiGroup: c.d}}, rules: [{host: a.b}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec: {podSelector: {}, ingress: [{}], policyTypes: [Ingress, Egress], egress: [{}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: hpa}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: rolling}, maxReplicas: 9, minReplicas: 5, behavior: {scaleDown: {selectPolicy: Disabled}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec: {schedule: "0 0 1 1 *", timeZone: Asia/Tokyo, startingDeadlineSeconds: 5, concurrencyPolicy: Forbid, jobTemplate: {spec: {ttlSecondsAfterFinished: 3, activeDeadlineSeconds: 5, template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: bin}
binaryData: {k: AAE=}
"#;

pub const NEWER_OBJECTS: [(&str, &str); 5] = [
    ("apis/apps/v1/deployments", "web"),
    ("apis/apps/v1/statefulsets", "db"),
    ("apis/batch/v1/jobs", "once"),
    ("apis/batch/v1/cronjobs", "cron"),
    ("api/v1/services", "web"),
];

pub const NEWER: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: "registry.example/a:1"}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 0
  selector: {matchLabels: {app: d}}
  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: a, image: a}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cron}
spec: {schedule: "0 0 1 1 *", suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: a}, ports: [{port: 80}]}
"#;
