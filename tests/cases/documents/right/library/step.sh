#@ libraries/web-core/steps/step.sh
true
