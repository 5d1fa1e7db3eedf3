"""Prices and budgets, and what was spent."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts.time_zones import zone_of
from core.api.fields import ManagedBy
from core.api.owned import OwnedEditable, OwnedSerializer
from core.api.resources import Acting, Editable, Resource
from usage.boards import costs, queries
from usage.boards.budget_edits import delete_budget, save_budget
from usage.models import Budget, Price
from usage.pages.price_edits import delete_price, save_price

MAX_USD = 1e12


class PriceSerializer(Acting, serializers.ModelSerializer[Price]):
    """The portal's own price of a model, USD per million tokens; it goes before the price list."""

    input_usd = serializers.FloatField(min_value=0, max_value=MAX_USD)
    output_usd = serializers.FloatField(min_value=0, max_value=MAX_USD)
    cached_usd = serializers.FloatField(
        min_value=0, max_value=MAX_USD, allow_null=True, required=False, help_text="null: as other input."
    )
    created_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    managed_by = ManagedBy()

    class Meta:
        model = Price
        fields = (
            "id",
            "provider",
            "model",
            "input_usd",
            "output_usd",
            "cached_usd",
            "valid_from",
            "created_by",
            "created_at",
            "managed_by",
        )
        read_only_fields = ("created_at",)

    def create(self, validated_data: dict[str, Any]) -> Price:
        """Make it."""
        return save_price(Price(**validated_data), self.actor)

    def update(self, instance: Price, validated_data: dict[str, Any]) -> Price:
        """Change it; what is stored keeps its cost."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return save_price(instance, self.actor)


@extend_schema(tags=["cost"])
class Prices(Editable[Price]):
    """The portal's own prices: all workspaces share them, who operates every workspace changes them."""

    writers = "platform"
    queryset = Price.objects.select_related("created_by").order_by("provider", "model", "-valid_from", "id")
    serializer_class = PriceSerializer
    lookup_value_regex = r"\d+"
    filterset_fields = ("provider", "model")
    ordering_fields = ("provider", "model", "valid_from", "input_usd", "output_usd")

    def remove(self, instance: Price) -> None:
        """Forget it; what it priced keeps its cost."""
        delete_price(instance)


class BudgetSerializer(OwnedSerializer[Budget]):
    """What a team may spend in a period."""

    limit_usd = serializers.FloatField(min_value=0.01, max_value=MAX_USD)

    class Meta:
        model = Budget
        validators: ClassVar[list[Any]] = []  # the named writes say what is taken
        fields = ("id", "workspace", "team", "limit_usd", "period", "created_at", "managed_by")
        read_only_fields = ("created_at",)
        extra_kwargs: ClassVar[dict[str, Any]] = {"period": {"required": False}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A team has one budget of each owner."""
        attrs = super().validate(attrs)
        owner = attrs["workspace"] if self.instance is None else self.instance.workspace
        others = Budget.objects.filter(workspace=owner, team=attrs.get("team", getattr(self.instance, "team", "")))
        if any(one != self.instance for one in others):
            raise serializers.ValidationError({"team": "has a budget already"})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Budget:
        """Make it."""
        return save_budget(Budget(**validated_data))

    def update(self, instance: Budget, validated_data: dict[str, Any]) -> Budget:
        """Change it."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return save_budget(instance)


@extend_schema(tags=["cost"])
class Budgets(OwnedEditable[Budget]):
    """Budgets of the caller's workspaces, and the portal's of the teams that occur in them."""

    queryset = Budget.objects.order_by("team")
    serializer_class = BudgetSerializer
    lookup_value_regex = r"\d+"
    filterset_fields = ("team", "period")
    ordering_fields = ("team", "limit_usd")

    def get_queryset(self) -> QuerySet[Budget]:
        """Those that the caller sees."""
        slugs = self.slugs
        found = super().get_queryset()
        if slugs is None:
            return found
        return found.filter(Q(workspace__isnull=False) | Q(team__in=queries.label_values("llm_call", "team", slugs)))

    def remove(self, instance: Budget) -> None:
        """Forget it; what was spent stays recorded."""
        delete_budget(instance)


class CostSerializer(serializers.Serializer[Any]):
    """What a team spent on a model since midnight (of the workspace's time zone), and in
    the same hours of the day before."""

    team = serializers.CharField()
    model = serializers.CharField()
    today = serializers.FloatField(help_text="USD.")
    yesterday = serializers.FloatField(help_text="USD.")
    more = serializers.FloatField(help_text="USD.")
    unpriced = serializers.FloatField(help_text="Calls of today without a price.")


class SpentSerializer(serializers.Serializer[Any]):
    """A budget in its present period."""

    workspace = serializers.CharField(
        source="budget.workspace.slug",
        default=None,
        allow_null=True,
        help_text="Whose budget it is; null: the portal's.",
    )
    team = serializers.CharField(source="budget.team")
    period = serializers.CharField(source="budget.period")
    limit_usd = serializers.FloatField(source="budget.limit_usd")
    spent = serializers.FloatField(help_text="USD.")
    forecast = serializers.FloatField(help_text="USD at the period's end, at the pace of the last day.")
    ends_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=costs.STATES)


class CostTables(serializers.Serializer[Any]):
    """The tables of the page Cost."""

    rows = CostSerializer(many=True)
    budgets = SpentSerializer(many=True)


ONE_ANSWER = forced_singular_serializer(CostTables)  # type: ignore[no-untyped-call]


@extend_schema(tags=["cost"])
class Costs(mixins.ListModelMixin, Resource[Any]):
    """Today against yesterday, and the budgets' state."""

    queryset = Budget.objects.none()
    serializer_class = CostTables
    is_scoped = True
    pagination_class = None
    filter_backends = ()

    @extend_schema(responses=ONE_ANSWER, operation_id="cost_retrieve")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What teams and models cost."""
        now = timezone.now()
        calls = queries.Rollups("llm_call", self.slugs, now)
        tables = {
            "rows": costs.by_team_and_model(calls, now, zone_of(self.slugs), {}, "today"),
            "budgets": costs.budget_states(calls, self.slugs, now),
        }
        return Response(CostTables(tables).data)
